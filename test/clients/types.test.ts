import type {
  GetTokenOptions as SdkGetTokenOptions,
  TokenCredential as SdkTokenCredential,
} from '@azure/core-auth'
import { expectTypeOf, test } from 'vitest'
import type { ConfidentialClients, PendingSignIn, TokenCredential } from '../../src/index.ts'

// Checked by the compiler (`npm run types`); nothing of this runs.
type GetTokenOptions = NonNullable<Parameters<TokenCredential['getToken']>[1]>
type AbortSignalLike = NonNullable<GetTokenOptions['abortSignal']>

declare const msal: ConfidentialClients
declare const pending: PendingSignIn
declare const session: { pending?: PendingSignIn }
declare const query: { [name: string]: undefined | string | string[] }
declare const body: unknown
const scopes = ['a']
const redirectUri = 'https://app.example/callback'

/** The compiler looks at it, and nobody calls it. */
function uses(_use: () => unknown): void {}

test('what a host writes compiles', () => {
  uses(() => msal.beginSignIn({ scopes, redirectUri, prompt: 'login', loginHint: undefined }))
  uses(() => msal.beginSignIn({ scopes, redirectUri, responseMode: 'form_post' }))
  uses(() => msal.completeSignIn(session.pending, query))
  uses(() => msal.completeSignIn(null, new URLSearchParams()))
  uses(() => msal.completeSignIn(pending, undefined))
  expectTypeOf<ReturnType<typeof msal.beginSignIn>>().resolves.toEqualTypeOf<{
    url: string
    pending: PendingSignIn
  }>()
})

test('misuse does not compile', () => {
  // @ts-expect-error without the response
  uses(() => msal.completeSignIn(pending))
  // @ts-expect-error what a body parser may leave is no response yet
  uses(() => msal.completeSignIn(pending, body))
  // @ts-expect-error made by the library
  uses(() => msal.beginSignIn({ scopes, redirectUri, state: 'mine' }))
  // @ts-expect-error never reaches a server
  uses(() => msal.beginSignIn({ scopes, redirectUri, responseMode: 'fragment' }))
  // @ts-expect-error without a redirect URI
  uses(() => msal.beginSignIn({ scopes }))
})

test('a credential is one of the Azure SDK’s, and takes what the SDK hands it', () => {
  expectTypeOf<TokenCredential>().toExtend<SdkTokenCredential>()
  expectTypeOf<SdkGetTokenOptions>().toExtend<GetTokenOptions>()
  expectTypeOf<AbortSignal>().toExtend<AbortSignalLike>()
  expectTypeOf<NonNullable<SdkGetTokenOptions['abortSignal']>>().toExtend<AbortSignalLike>()
  expectTypeOf<ReturnType<typeof msal.credentialFor>>().toEqualTypeOf<TokenCredential>()
})
