const TENANT = /^[A-Za-z0-9.-]{1,255}$/
// Entra ID's names for "the tenant of the user, whichever it is": app tokens are issued per tenant.
const NOT_A_TENANT = new Set(['common', 'organizations', 'consumers'])

/**
 * A tenant's id or domain name, in lower case.
 * @throws {TypeError} naming what is wrong
 */
export function checkTenantId(tenantId: unknown): string {
  if (typeof tenantId !== 'string' || !TENANT.test(tenantId)) {
    throw new TypeError(
      'tenantId must be a tenant id or domain name: 1 to 255 letters, digits, dots or hyphens',
    )
  }
  const name = tenantId.toLowerCase()
  if (NOT_A_TENANT.has(name)) {
    throw new TypeError(`tenantId must name a single tenant, not '${name}': app tokens are issued per tenant`)
  }
  return name
}
