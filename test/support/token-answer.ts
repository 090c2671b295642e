import type { ConfidentialClients } from '../../src/index.ts'
import { SCOPES } from './entra.ts'

/** Asks a server of an application for a user's token. */
export interface TokenRequest {
  readonly homeAccountId: string
  readonly forceRefresh: boolean
}

/** Whether the token came from the cache, or MSAL's error code. */
export type TokenAnswer =
  | { readonly kind: 'token'; readonly fromCache: boolean }
  | { readonly kind: 'error'; readonly code: string }

export async function answer(
  msal: ConfidentialClients,
  { homeAccountId, forceRefresh }: TokenRequest,
): Promise<TokenAnswer> {
  try {
    const { fromCache } = await msal.acquireTokenSilent({ homeAccountId }, { scopes: SCOPES, forceRefresh })
    return { kind: 'token', fromCache }
  } catch (error) {
    const { errorCode, code, message } = error as { errorCode?: string; code?: string; message: string }
    return { kind: 'error', code: errorCode ?? code ?? message }
  }
}
