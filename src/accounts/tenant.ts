const TENANT = /^[A-Za-z0-9.-]{1,255}$/
// Entra ID's names for "whichever tenant the user is of": an application's own token is for one.
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
    throw new TypeError(`tenantId must be one tenant, and ${name} is none: an application's token is for one`)
  }
  return name
}
