// One process of a stress run, started by run.ts: a host with connections and MSAL clients of its own.
import { open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type KeyvRedis from '@keyv/redis'
import { Keyv as Keyv6 } from 'keyv6'
import type * as Library from '../../src/index.ts'
import type { HostSession } from '../../src/index.ts'
import { SCOPES } from '../support/entra.ts'
import { closeStore, openStore, type StoreAddress } from '../support/open-store.ts'
import { isStored } from '../support/stored.ts'
import { ObservedCommits } from './commits.ts'
import { type Entry, now, type Outcome } from './history.ts'
import { firstSignIns, lastRefreshes, operationsOf, type Plan, type PlannedOperation } from './operations.ts'
import {
  authorizationCode,
  homeAccountIdOf,
  ISSUER,
  NONCE,
  originsOf,
  StatelessEntra,
  sidOf,
} from './provider.ts'
import { encryptionKeys } from './sealing.ts'

export interface ProcessSettings {
  readonly plan: Plan
  readonly process: number
  readonly store: StoreAddress
  readonly keyvMajor: 5 | 6
  /** Milliseconds. */
  readonly storeTimeout: number
  /** The module to test, as an URL. */
  readonly library: string
  /** Where the history goes, one entry a line. */
  readonly history: string
}

/** Orders from run.ts; each is answered with its own name once it is done. Numbers say how much was done since. */
export type Order = 'begin' | 'run' | 'stop' | 'verify' | 'end'

const PARALLEL_SCOPES = ['Mail.Read', 'Files.Read', 'Tasks.Read'].map((scope) => [scope])
const PAUSE_AFTER_FAILURE = 20
const REPORT_EVERY = 500

const settings = JSON.parse(process.argv[2] ?? '') as ProcessSettings
const { ConfidentialClients, LogoutHandler } = (await import(settings.library)) as typeof Library
const { plan, storeTimeout } = settings
const keyv5 = await openStore(settings.store)
const store = settings.keyvMajor === 5 ? keyv5 : inKeyv6(keyv5.store as KeyvRedis<string>)
const commits = new ObservedCommits()
commits.watch(store)
const entra = new StatelessEntra(`${settings.process}`)
// Answers are remembered, as by default.
const msal = new ConfidentialClients(entra.configuration(), { store, storeTimeout, encryptionKeys })
const logout = new LogoutHandler(msal, { issuer: ISSUER })

const entries: Entry[] = []
const sessions = new Map<number, { session: HostSession; chain: string }>()
let signIns = 0
let stopped = false
let unreported = 0
let lanes: Promise<unknown> = Promise.resolve()

/** As if Keyv 5 had never seen the adapter: its listener would keep Keyv 6 from crashing where it can. */
function inKeyv6(adapter: KeyvRedis<string>): Keyv6 {
  adapter.removeAllListeners('error')
  return new Keyv6({ store: adapter })
}

async function log(
  operation: PlannedOperation,
  details: { lane?: number; last?: true } = {},
): Promise<Outcome> {
  const { latency, ...rest } = operation
  const chain = operation.kind === 'sign-in' ? `${settings.process}-${++signIns}` : undefined
  const session =
    'by' in operation && operation.by === 'session' ? sessions.get(operation.account) : undefined
  const begin = now()
  const { result: outcome, commits: made } = await commits.during(() =>
    entra.withLatency(latency, () =>
      perform(operation, { chain, session: session?.session }).catch(describe),
    ),
  )
  entries.push({
    ...{ operation: rest, process: settings.process, begin, end: now(), outcome, commits: made },
    ...(chain === undefined ? {} : { chain }),
    ...(session === undefined ? {} : { session: session.chain }),
    ...details,
  })
  return outcome
}

async function perform(
  operation: PlannedOperation,
  of: { chain: string | undefined; session: HostSession | undefined },
): Promise<Outcome> {
  const { account } = operation
  const homeAccountId = homeAccountIdOf(account)
  switch (operation.kind) {
    case 'silent':
    case 'refresh': {
      const forceRefresh = operation.kind === 'refresh'
      const request = { scopes: SCOPES, forceRefresh }
      const result = await msal.acquireTokenSilent(of.session ?? { homeAccountId }, request)
      return { is: 'token', ...originsOf(result), fromCache: result.fromCache }
    }
    case 'sign-in':
      return signIn(account, of.chain ?? '', sidOf(account, operation.browser))
    case 'evict':
      await msal.plugin.evictAccount(homeAccountId)
      return { is: 'evicted' }
    case 'logout': {
      const url = `/logout?sid=${sidOf(account, operation.browser)}`
      const { result, error } = await logout.handle({ method: 'GET', url })
      if (error !== undefined) return { ...describe(error), ...notFenced(error) }
      return result === 'evicted' ? { is: 'evicted' } : { is: 'nobody', result }
    }
    case 'parallel-refresh': {
      const request = (scopes: string[], forceRefresh: boolean) =>
        msal.acquireTokenSilent({ homeAccountId }, { scopes, forceRefresh })
      if (!(await isStored(msal.plugin, homeAccountId))) {
        await signIn(account, `${settings.process}-${++signIns}`, sidOf(account, 0))
      }
      const fresh = await Promise.all(PARALLEL_SCOPES.map((scopes) => request(scopes, true)))
      const stored = await Promise.all(PARALLEL_SCOPES.map((scopes) => request(scopes, false)))
      const lost = PARALLEL_SCOPES.filter((_, n) => fresh[n]?.accessToken !== stored[n]?.accessToken)
      return { is: 'refreshed', lost: lost.flat() }
    }
  }
}

async function signIn(account: number, chain: string, sid: string): Promise<Outcome> {
  const code = authorizationCode({ account, chain }, sid)
  const redirectUri = 'https://app.example/callback'
  const request = { scopes: SCOPES, redirectUri }
  const pending = { state: 'state', nonce: NONCE, codeVerifier: 'verifier', request }
  const { session, result } = await msal.completeSignIn(pending, { code, state: 'state' })
  sessions.set(account, { session, chain })
  return { is: 'signed-in', owners: originsOf(result).owners, generation: session.generation }
}

function describe(error: unknown): Outcome {
  const { name, code, errorCode, message, fenced, operation } = error as Record<string, unknown>
  if (errorCode === 'no_tokens_found') return { is: 'signed-out' }
  if (code === 'ERR_EVICTION') return { is: 'eviction-failed', fenced: fenced === true }
  if (code === 'ERR_STORE_UNAVAILABLE') return { is: 'store-failure', operation: String(operation) }
  return { is: 'error', error: `${name} ${code ?? errorCode}: ${message}` }
}

/** A logout callback that failed at its first read has evicted nobody, as a failed eviction may not have. */
function notFenced(error: { code: string }): object {
  return error.code === 'ERR_STORE_UNAVAILABLE' ? { is: 'eviction-failed', fenced: false } : {}
}

async function runLane(lane: number): Promise<void> {
  for (const operation of operationsOf(plan, settings.process, lane)) {
    if (stopped) return
    const { is } = await log(operation, { lane })
    if (is === 'store-failure' || is === 'eviction-failed') await delay(PAUSE_AFTER_FAILURE)
    else unreported++
    if (unreported < REPORT_EVERY) continue
    process.send?.(unreported)
    unreported = 0
  }
}

async function writeHistory(): Promise<void> {
  const file = await open(settings.history, 'w')
  try {
    for (let start = 0; start < entries.length; start += 1000) {
      const lines = entries.slice(start, start + 1000).map((entry) => `${JSON.stringify(entry)}\n`)
      await file.write(lines.join(''))
    }
  } finally {
    await file.close()
  }
}

async function obey(order: Order): Promise<void> {
  switch (order) {
    case 'begin':
      for (const operation of firstSignIns(plan, settings.process)) await log(operation)
      return
    case 'run':
      lanes = Promise.all(Array.from({ length: plan.lanes }, (_, lane) => runLane(lane)))
      return
    case 'stop':
      stopped = true
      await lanes
      return
    case 'verify':
      for (const operation of lastRefreshes(plan, settings.process)) await log(operation, { last: true })
      return
    case 'end':
      await writeHistory()
      await closeStore(keyv5)
  }
}

process.on('message', async (order: Order) => {
  await obey(order)
  process.send?.(order, () => order === 'end' && process.disconnect())
})
process.on('disconnect', () => setTimeout(() => process.exit(3), 5_000).unref())
process.send?.('ready')
