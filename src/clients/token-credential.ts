import type { AuthenticationResult } from '@azure/msal-node'
import { checkTenantId } from '../accounts/identity.ts'
import { AuthenticationRequiredError, ConfigurationError } from '../errors.ts'

/**
 * The Azure SDK's `TokenCredential` (`@azure/core-auth`) by its shape: what clients of the Azure SDK and of Microsoft
 * Graph take.
 */
export interface TokenCredential {
  /**
   * A token from the cache, or from the provider.
   * @param scopes of one resource
   */
  getToken(
    scopes: string | string[],
    options?: {
      /**
       * The claims challenge of a resource (continuous access evaluation, step-up), decoded. The provider is asked, and
       * its token takes the place of the one that the resource refused.
       */
      claims?: string | undefined
      /** The tenant whose token the resource wants. */
      tenantId?: string | undefined
      /** Ends the wait with an `AbortError`. A request that is under way is finished, and its token kept. */
      abortSignal?:
        | {
            readonly aborted: boolean
            addEventListener(type: 'abort', listener: () => void): void
            removeEventListener(type: 'abort', listener: () => void): void
          }
        | undefined
    },
  ): Promise<{
    token: string
    /** In milliseconds since 1970, like the next. */
    expiresOnTimestamp: number
    /** When to ask for a new one, where the provider has said so. */
    refreshAfterTimestamp?: number
    tokenType: 'Bearer'
  }>
}

type GetTokenOptions = NonNullable<Parameters<TokenCredential['getToken']>[1]>
type AbortSignalLike = NonNullable<GetTokenOptions['abortSignal']>
type AccessToken = Awaited<ReturnType<TokenCredential['getToken']>>

/** What a credential asks MSAL for. */
export interface TokenQuery {
  scopes: string[]
  claims?: string
  tenantId?: string
}

/** @param acquire from the account's partition, or from the provider */
export function accountCredential(
  acquire: (query: TokenQuery) => Promise<AuthenticationResult>,
): TokenCredential {
  return tokenCredential((query) =>
    acquire(query).catch((error: unknown) => {
      throw authenticationRequired(error, query)
    }),
  )
}

/** @param acquire from the tenant's partition, or from the provider */
export function appCredential(
  tenantId: string,
  acquire: (query: TokenQuery & { tenantId: string }) => Promise<AuthenticationResult>,
): TokenCredential {
  const tenant = checkTenantId(tenantId)
  return tokenCredential(async ({ tenantId: asked = tenant, ...query }) => {
    if (asked !== tenant) {
      throw new ConfigurationError(
        "tenantId is another tenant's than the credential's: if the resource may have its token, make another " +
          'credentialForApp(tenantId)',
      )
    }
    return acquire({ ...query, tenantId: tenant })
  })
}

function tokenCredential(acquire: (query: TokenQuery) => Promise<AuthenticationResult>): TokenCredential {
  return {
    async getToken(scopes, { claims, tenantId, abortSignal } = {}) {
      const query = {
        scopes: listOf(scopes),
        ...(claims === undefined ? {} : { claims }),
        ...(tenantId === undefined ? {} : { tenantId: checkTenantId(tenantId) }),
      }
      return accessToken(await unlessAborted(abortSignal, () => acquire(query)))
    },
  }
}

/**
 * Turns MSAL's errors that mean "sign in again" into the one that the Azure SDK knows. A provider other than Entra ID
 * says `invalid_grant` of a refresh token that it no longer takes.
 */
function authenticationRequired(error: unknown, { scopes, claims }: TokenQuery): unknown {
  const { name, errorCode, claims: demanded } = (error ?? {}) as Record<string, unknown>
  if (name !== 'InteractionRequiredAuthError' && errorCode !== 'invalid_grant') return error
  return new AuthenticationRequiredError({
    scopes,
    claims: typeof demanded === 'string' && demanded !== '' ? demanded : claims,
    cause: error,
  })
}

function listOf(scopes: unknown): string[] {
  const list: unknown[] = [scopes].flat()
  if (list.length > 0 && list.every((scope) => typeof scope === 'string' && scope !== '')) {
    return list as string[]
  }
  throw new TypeError('scopes must be a string or an array of strings, and not empty')
}

function accessToken({ accessToken: token, expiresOn, refreshOn }: AuthenticationResult): AccessToken {
  if (token === '') {
    throw new ConfigurationError(
      'the provider returned no access token for these scopes: in Azure AD B2C, ask for a scope of your own API, or ' +
        'for the client id',
    )
  }
  return {
    token,
    // Without a time of its own it is good for now.
    expiresOnTimestamp: (expiresOn ?? new Date()).getTime(),
    ...(refreshOn ? { refreshAfterTimestamp: refreshOn.getTime() } : {}),
    tokenType: 'Bearer',
  }
}

async function unlessAborted<Result>(
  signal: AbortSignalLike | undefined,
  run: () => Promise<Result>,
): Promise<Result> {
  if (signal === undefined) return run()
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(new DOMException('getToken was aborted', 'AbortError'))
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort)
  try {
    return await (signal.aborted ? promise : Promise.race([promise, run()]))
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
