import type { Core } from '../core.ts'
import { report } from '../diagnostics.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { Ahead } from '../kinds/cache-plugin.ts'

/** A plugin, as far as it forgets refresh tokens. */
type Forgetting = Pick<ReturnType<Core['forSignInRef']>, 'forgetRefreshTokens'>

/**
 * Whether the provider has refused a refresh token for good (RFC 6749 §5.2, `invalid_grant`): it was revoked, has
 * expired, or is another client's. Entra ID also answers `invalid_grant` where the user only needs to do something, such
 * as to consent or to pass a second factor; there, only `bad_token` is final.
 */
export function isRefusedForGood(error: unknown): boolean {
  const { errorCode, subError, errorMessage } = (error ?? {}) as Record<string, unknown>
  if (errorCode === 'bad_token' || subError === 'bad_token') return true
  const isEntra = Boolean(subError) || String(errorMessage).includes('AADSTS')
  return errorCode === 'invalid_grant' && !isEntra
}

/**
 * After a silent call that failed: what was refused for good leaves the store, so that the next call asks the user, and
 * not the provider.
 */
export async function forgetIfRefused(error: unknown, plugin: Forgetting, ahead: Ahead): Promise<void> {
  const shown = isRefusedForGood(error) ? ahead.read() : undefined
  if (shown === undefined) return
  try {
    await plugin.forgetRefreshTokens(shown)
  } catch (failure) {
    if (!(failure instanceof StoreUnavailableError)) throw failure
    // The call fails with the provider's refusal, and the next one is refused again.
    report('msal-keyv:commit-failed', { error: failure })
  }
}
