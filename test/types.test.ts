import type { AccountInfo, AuthenticationResult, ICachePlugin } from '@azure/msal-node'
import type { Keyv } from 'keyv'
import type { Keyv as Keyv6 } from 'keyv6'
import { expectTypeOf, test } from 'vitest'
import type {
  CallbackRequest,
  ConfidentialClients,
  Eviction,
  HostSession,
  KeyvCachePlugin,
  KeyvCachePluginOptions,
  KeyvLike,
  LogoutHandler,
  LogoutOutcome,
} from '../src/index.ts'

// Checked by the compiler (`npm run types`); nothing of this runs.
declare const msal: ConfidentialClients
declare const plugin: KeyvCachePlugin
declare const logout: LogoutHandler
declare const result: AuthenticationResult
declare const session: HostSession
declare const account: AccountInfo
const scopes = ['a']

/** The compiler looks at it, and nobody calls it. */
function uses(_use: () => unknown): void {}

test('both majors of Keyv fit, and the plugin is a cache plugin', () => {
  expectTypeOf<Keyv>().toExtend<KeyvLike>()
  expectTypeOf<Keyv6>().toExtend<KeyvLike>()
  expectTypeOf<KeyvCachePlugin>().toExtend<ICachePlugin>()
})

test('what a host writes compiles', () => {
  uses(() => msal.acquireTokenSilent(session, { scopes }))
  uses(() => msal.acquireTokenSilent(account, { scopes }))
  uses(() => msal.acquireTokenSilent({ homeAccountId: 'home account id' }, { scopes, forceRefresh: true }))
  uses(() => msal.acquireTokenByClientCredential({ tenantId: 'contoso', scopes }))
  uses(async () => (await plugin.evictAccount('home account id')).existed)
  expectTypeOf<ReturnType<typeof plugin.evictAccount>>().resolves.toEqualTypeOf<Eviction | undefined>()
  // @ts-expect-error an id alone does not say which sign-in
  uses(() => plugin.isSignedIn({ homeAccountId: 'home account id' }))
  // @ts-expect-error a bare id drops the generation
  uses(() => msal.acquireTokenSilent('home account id', { scopes }))
  expectTypeOf<ReturnType<typeof logout.handle>>().resolves.toEqualTypeOf<LogoutOutcome>()
  expectTypeOf<Request>().toExtend<CallbackRequest>()
  expectTypeOf<{ sid: undefined; homeAccountId: string; generation: string }>().toExtend<HostSession>()
})

test('misuse does not compile', () => {
  // @ts-expect-error a result is no session: keep what acquireTokenByCode returned as `session`
  uses(() => msal.acquireTokenSilent(result, { scopes }))
  // @ts-expect-error as above
  uses(() => plugin.forAccount(result))
  // @ts-expect-error whose resources?
  uses(() => msal.acquireTokenByClientCredential({ scopes }))
  // @ts-expect-error the tenant decides
  uses(() => msal.acquireTokenByClientCredential({ tenantId: 'a', authority: 'b', scopes }))
  // @ts-expect-error the account is the first argument
  uses(() => msal.acquireTokenSilent(session, { account, scopes }))
  // @ts-expect-error without scopes
  uses(() => msal.acquireTokenSilent(session, {}))
  // @ts-expect-error without a store
  expectTypeOf<{ clientId: string }>().toExtend<KeyvCachePluginOptions>()
  // @ts-expect-error a bare Map
  expectTypeOf<Map<string, string>>().toExtend<KeyvLike>()
})
