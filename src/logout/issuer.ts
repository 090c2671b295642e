import { ConfigurationError } from '../errors.ts'
import { guidOf } from '../guards.ts'
import { secureUrl } from './url.ts'

/** What stands for a tenant's GUID in the issuer of several tenants. */
export const TENANT = '{tenantid}'
const GUID_LENGTH = 36
// `common` and its like, or a domain name, where a token's issuer has the tenant's GUID.
const ENTRA_AUTHORITY =
  /^https:\/\/(?:login\.(?:partner\.)?microsoftonline\.[a-z]+|sts\.windows\.net)\/(?:common|organizations|consumers|[^/]*\.[^/]*)(?:\/|$)/

/**
 * Whether `candidate` is the issuer: the same string, or, under a template, the same with one tenant's GUID (in
 * lower case, as Entra ID writes it) for every `{tenantid}`.
 */
export function matchesIssuer(candidate: string, issuer: string): boolean {
  const start = issuer.indexOf(TENANT)
  if (start < 0) return candidate === issuer
  const tenant = candidate.slice(start, start + GUID_LENGTH)
  return guidOf(tenant) === tenant && candidate === issuer.replaceAll(TENANT, tenant)
}

/** @throws {ConfigurationError} when no ID token can have this issuer */
export function checkIssuer(issuer: unknown): string {
  const text = typeof issuer === 'string' ? issuer : ''
  const url = secureUrl(text.replaceAll(TENANT, 'tenant'))
  if (url === undefined || /[?#{}]/.test(text.replaceAll(TENANT, ''))) {
    throw new ConfigurationError(
      'issuer must be the iss of your ID tokens: an https URL without a query, with no placeholder other than {tenantid}',
    )
  }
  if (ENTRA_AUTHORITY.test(text)) {
    throw new ConfigurationError(
      'issuer must name a tenant by its GUID, as the iss of an ID token does; for several tenants use ' +
        'https://login.microsoftonline.com/{tenantid}/v2.0',
    )
  }
  return text
}
