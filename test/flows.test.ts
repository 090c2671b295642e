import { readFileSync, writeFileSync } from 'node:fs'
import Keyv from 'keyv'
import { expect, test } from 'vitest'
import { ConfidentialClients } from '../src/index.ts'
import { EntraStandIn, SCOPES } from './support/entra.ts'
import { observe } from './support/observed-store.ts'

const PAGE = new URL('../docs/flows.md', import.meta.url)
const BEGIN =
  '<!-- counted by test/flows.test.ts; `UPDATE_DOCS=1 npx vitest run test/flows.test.ts` writes it -->'

/** One row of the table. */
interface Flow {
  readonly flow: string
  readonly call: string
  readonly partition: string
  readonly evictedBy: string
  run(): Promise<unknown>
}

function host() {
  const entra = new EntraStandIn()
  const map = new Map<string, string>()
  const store = observe(new Keyv({ store: map }))
  const configuration = entra.configuration()
  const msal = new ConfidentialClients(configuration, { store: store.keyv })
  const elsewhere = new ConfidentialClients(configuration, { store: store.keyv })
  const user = entra.user()
  const caller = entra.user()
  const oboAssertion = entra.assertion(caller)
  return { entra, store, msal, elsewhere, user, oboAssertion }
}

/** Every flow, in an order in which each finds what the one before left. */
function flows({ entra, msal, elsewhere, user, oboAssertion }: ReturnType<typeof host>): Flow[] {
  const account = user.homeAccountId
  const silent = 'acquireTokenSilent(session, …)'
  const onBehalfOf = 'acquireTokenOnBehalfOf(…)'
  const longRunning = 'acquireTokenInLongRunningProcess(sessionKey, …)'
  const app = 'acquireTokenByClientCredential({ tenantId, … })'
  const appRequest = { tenantId: 'contoso', scopes: ['https://graph.microsoft.com/.default'] }
  const eviction = "the account's eviction"
  return [
    {
      flow: 'sign-in',
      call: 'completeSignIn(pending, response)',
      partition: 'account',
      evictedBy: eviction,
      run: () => entra.enter(msal, user),
    },
    {
      flow: 'silent, hit',
      call: silent,
      partition: 'account',
      evictedBy: eviction,
      run: () => msal.acquireTokenSilent({ homeAccountId: account }, { scopes: SCOPES }),
    },
    {
      flow: 'silent, refresh',
      call: silent,
      partition: 'account',
      evictedBy: eviction,
      run: () => msal.acquireTokenSilent({ homeAccountId: account }, { scopes: SCOPES, forceRefresh: true }),
    },
    {
      flow: 'silent, 20 equal ones at once, refresh',
      call: silent,
      partition: 'account',
      evictedBy: eviction,
      run: () =>
        Promise.all(
          Array.from({ length: 20 }, () =>
            msal.acquireTokenSilent({ homeAccountId: account }, { scopes: ['api://a/read'] }),
          ),
        ),
    },
    {
      flow: 'on behalf of, first',
      call: onBehalfOf,
      partition: 'incoming token',
      evictedBy: "the owner's eviction",
      run: () => msal.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES }),
    },
    {
      flow: 'on behalf of, repeated',
      call: onBehalfOf,
      partition: 'incoming token',
      evictedBy: "the owner's eviction",
      run: () => msal.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES }),
    },
    {
      flow: 'on behalf of, repeated in another process',
      call: onBehalfOf,
      partition: 'incoming token',
      evictedBy: "the owner's eviction",
      run: () => elsewhere.acquireTokenOnBehalfOf({ oboAssertion, scopes: SCOPES }),
    },
    {
      flow: 'long-running process, begin',
      call: longRunning,
      partition: 'session key',
      evictedBy: "the owner's eviction",
      run: () => msal.acquireTokenInLongRunningProcess('job', { oboAssertion, scopes: SCOPES }),
    },
    {
      flow: 'long-running process, hit',
      call: longRunning,
      partition: 'session key',
      evictedBy: "the owner's eviction",
      run: () => elsewhere.acquireTokenInLongRunningProcess('job', { scopes: SCOPES }),
    },
    {
      flow: 'long-running process, refresh',
      call: longRunning,
      partition: 'session key',
      evictedBy: "the owner's eviction",
      run: () => msal.acquireTokenInLongRunningProcess('job', { scopes: SCOPES, forceRefresh: true }),
    },
    {
      flow: 'app token, first',
      call: app,
      partition: 'client and tenant',
      evictedBy: 'nothing: it expires',
      run: () => msal.acquireTokenByClientCredential(appRequest),
    },
    {
      flow: 'app token, repeated',
      call: app,
      partition: 'client and tenant',
      evictedBy: 'nothing: it expires',
      run: () => elsewhere.acquireTokenByClientCredential(appRequest),
    },
    {
      flow: 'sign-out',
      call: 'signOut(session, …)',
      partition: 'account',
      evictedBy: 'is one',
      run: () => msal.signOut({ homeAccountId: account }, { postLogoutRedirectUri: 'https://app.example/' }),
    },
    {
      flow: 'eviction',
      call: 'plugin.evictAccount(homeAccountId)',
      partition: 'account',
      evictedBy: 'is one',
      run: () => msal.plugin.evictAccount(account),
    },
  ]
}

async function count(): Promise<string> {
  const world = host()
  const { entra, store } = world
  const requests = () =>
    Object.values(entra.tokenRequests).reduce((sum, n) => sum + n) + entra.discoveryRequests
  const rows: string[] = []
  for (const { flow, call, partition, evictedBy, run } of flows(world)) {
    const before = requests()
    store.calls()
    await run()
    const calls = `${store.calls().length} | ${requests() - before}`
    rows.push(`| ${flow} | \`${call}\` | ${partition} | ${calls} | ${evictedBy} |`)
  }
  return [
    '| flow | call | partition | store calls | requests to the provider | ended by |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
}

test('the table of docs/flows.md is what is counted', async () => {
  const table = await count()
  const page = readFileSync(PAGE, 'utf8')
  const [head, rest = ''] = page.split(`${BEGIN}\n\n`)
  const after = rest.replace(/^(?:\|.*\n?)*/, '')
  if (process.env.UPDATE_DOCS) writeFileSync(PAGE, `${head}${BEGIN}\n\n${table}\n${after}`)
  else expect(rest.slice(0, rest.length - after.length).trim()).toBe(table)
})
