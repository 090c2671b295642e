import {
  CONTENDER_NAMES,
  CONTENDERS,
  type ContenderName,
  isRedis,
  OPERATIONS,
  type Operation,
  type StoreKind,
} from './contenders.ts'
import type { Profile } from './profile.ts'
import type { Entrant, Group, ScenarioName } from './results.ts'

/** How many accounts are stored where their number is not what is looked at. */
export const USUAL_ACCOUNTS = 200

/** Every group of a profile, in the order in which they run. */
export function groupsOf(profile: Profile): Group[] {
  return [...hits(profile), ...operations(profile), ...accounts(profile), ...processes(profile)]
}

/** The one whose heap is measured: each in a process of its own, after it has served every account once. */
export function heapEntrants({ heapAccounts }: Profile): Entrant[] {
  return entrants('redis', heapAccounts, ['microsoft', 'clients']).filter(({ sealed }) => !sealed)
}

function hits({ hits }: Profile): Group[] {
  return hits.stores.flatMap((store) =>
    hits.concurrency.map((concurrency) => {
      const atOnce = CONTENDER_NAMES.filter((name) => concurrency === 1 || !CONTENDERS[name].oneAtATime)
      return group('hit', { concurrency, entrants: entrants(store, USUAL_ACCOUNTS, atOnce) })
    }),
  )
}

function operations({ operations }: Profile): Group[] {
  const others = (Object.keys(OPERATIONS) as Operation[]).filter((operation) => operation !== 'hit')
  return operations.stores.flatMap((store) =>
    others.map((operation) => {
      const isLogout = operation.endsWith('channel')
      const names = CONTENDER_NAMES.filter((name) =>
        isLogout ? CONTENDERS[name].logout : !CONTENDERS[name].hitsOnly,
      )
      return group('operations', { operation, entrants: entrants(store, USUAL_ACCOUNTS, names) })
    }),
  )
}

/** All sizes of a store are in one run: what is compared are the sizes. */
function accounts(profile: Profile): Group[] {
  const everybody: ContenderName[] = ['msal', 'blob']
  const flat: ContenderName[] = ['microsoft', 'plugin', 'clients']
  return (Object.keys(profile.accounts) as StoreKind[]).map((store) => {
    const names = store === 'map' ? [...everybody, ...flat] : flat
    const sizes = profile.accounts[store] ?? []
    const all = sizes.flatMap((size) => entrants(store, size, names)).filter(({ sealed }) => !sealed)
    return group('accounts', { entrants: all })
  })
}

function processes({ processes: { stores, counts } }: Profile): Group[] {
  const names: ContenderName[] = ['microsoft-redis', 'microsoft', 'plugin', 'clients']
  return stores.flatMap((store) =>
    counts.map((processes) => {
      const all = entrants(store, USUAL_ACCOUNTS, names).filter(({ sealed }) => !sealed)
      return group('processes', { processes, concurrency: 10, entrants: all })
    }),
  )
}

function group(scenario: ScenarioName, of: Partial<Group>): Group {
  return { scenario, operation: 'hit', concurrency: 1, processes: 1, entrants: [], ...of }
}

/** Those that can be on this store, plain, and sealed where they can. */
function entrants(store: StoreKind, accounts: number, names: readonly ContenderName[]): Entrant[] {
  const possible = names.filter((name) => !CONTENDERS[name].needsRedis || isRedis(store))
  const plain = possible.map((contender) => ({ contender, sealed: false, store, accounts }))
  const sealed = plain.filter(({ contender }) => CONTENDERS[contender].seals)
  return [...plain, ...sealed.map((entrant) => ({ ...entrant, sealed: true }))]
}
