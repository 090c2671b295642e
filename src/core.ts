import type { ICachePlugin } from '@azure/msal-node'
import type { Partition } from './accounts/accounts.ts'
import { Accounts } from './accounts/accounts.ts'
import { GENERATION_LIFETIME } from './accounts/generation.ts'
import {
  type AccountRef,
  checkTenantId,
  type HostSession,
  readAssertion,
  type SignInRef,
  signInRef,
} from './accounts/identity.ts'
import { TokenRecords } from './accounts/token-records.ts'
import { report } from './diagnostics.ts'
import { AccountPlugin } from './kinds/account.ts'
import { AppPlugin } from './kinds/app.ts'
import { checkSessionKey, LongRunningPlugin } from './kinds/long-running.ts'
import { AssertionPlugin } from './kinds/on-behalf-of.ts'
import { ReportingPlugin } from './kinds/reporting.ts'
import { type OneSignIn, SignInPlugin } from './kinds/sign-in.ts'
import type { Repositories } from './kinds/token-record.ts'
import { type KeyvCachePluginOptions, resolveOptions, type Settings } from './options.ts'
import { KeyNames } from './records/key-names.ts'
import { Records } from './records/records.ts'
import { Sealing } from './records/sealing.ts'
import { checkStore, type StoreCheck } from './store/check.ts'
import { KeyvStore } from './store/keyv-store.ts'

/**
 * What stands behind a `KeyvCachePlugin`: the accounts in the store, and a plugin for each kind of client.
 * `ConfidentialClients` and `LogoutHandler` use it.
 */
export class Core {
  readonly clientId: string
  readonly accounts: Accounts
  readonly #names: KeyNames
  readonly #repositories: Repositories
  readonly #onCommitFailure: Settings['onCommitFailure']
  readonly #check: () => Promise<StoreCheck>

  constructor(options: KeyvCachePluginOptions) {
    const settings = resolveOptions(options)
    const store = new KeyvStore(settings.store, settings.storeTimeout)
    const records = new Records(store, new Sealing(settings))
    this.clientId = settings.clientId
    this.#names = new KeyNames(settings)
    this.accounts = new Accounts(records, this.#names, settings.ttl)
    this.#repositories = {
      accounts: this.accounts,
      tokens: new TokenRecords(records, settings.ttl),
    }
    this.#onCommitFailure = settings.onCommitFailure
    this.#check = () => checkStore(store, settings.store, GENERATION_LIFETIME)
  }

  checkStore(): Promise<StoreCheck> {
    return this.#check()
  }

  forSignIn(signIn?: OneSignIn): SignInPlugin {
    return new SignInPlugin(this.accounts, signIn)
  }

  forAccount(account: HostSession | AccountRef): AccountPlugin {
    return this.forSignInRef(signInRef(account))
  }

  forSignInRef(of: SignInRef): AccountPlugin {
    return new AccountPlugin(this.accounts, of)
  }

  async isSignedIn(of: SignInRef): Promise<boolean> {
    return (await this.signedIn(of)) !== undefined
  }

  /** What is stored for the sign-in; undefined where {@link isSignedIn} is false. */
  async signedIn(of: SignInRef): Promise<Partition | undefined> {
    return (await this.accounts.load(of)).signedIn
  }

  /** The session for the host to keep. Says so where no logout callback will ever find it. */
  openedSession({ homeAccountId, generation, sid, epoch, since }: HostSession): HostSession {
    const session = { homeAccountId, generation }
    if (sid !== undefined && epoch !== undefined) return { ...session, sid, epoch, since }
    const key = this.accounts.keyOf(homeAccountId)
    const hint =
      'no sid: with Entra ID, add it to the ID token as an optional claim, or pass session_state on'
    report('msal-keyv:sign-in-without-link', { key, hint })
    return session
  }

  forApp(tenantId: string): AppPlugin {
    const tenant = checkTenantId(tenantId)
    return new AppPlugin(this.#repositories, this.#names.app(tenant), tenant)
  }

  forAssertion(assertion: string): AssertionPlugin {
    const read = readAssertion(assertion)
    return new AssertionPlugin(this.#repositories, this.#names.assertion(read.hash), read)
  }

  forLongRunningProcess(sessionKey: string, assertion: string | undefined): LongRunningPlugin {
    const key = this.#names.longRunningProcess(checkSessionKey(sessionKey))
    const read = assertion === undefined ? undefined : readAssertion(assertion)
    return new LongRunningPlugin(this.#repositories, key, read)
  }

  /** Applies `onCommitFailure`; see {@link ReportingPlugin}. */
  withFailurePolicy(plugin: ICachePlugin, concerns: 'refreshes' | 'all'): ICachePlugin {
    return this.#onCommitFailure === 'report' ? new ReportingPlugin(plugin, concerns) : plugin
  }
}
