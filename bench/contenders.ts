/** Who is measured, and what each of them can do. */
export type ContenderName =
  | 'msal'
  | 'microsoft-sample'
  | 'microsoft-redis'
  | 'microsoft'
  | 'blob'
  | 'plugin'
  | 'first'
  | 'clients'

export type StoreKind = 'map' | 'sqlite' | 'redis' | 'redis-cached'

export type Operation = 'hit' | 'refresh' | 'sign-in' | 'eviction' | 'front-channel' | 'back-channel'

interface ContenderFacts {
  readonly label: string
  /** Whether it can seal its records. */
  readonly seals?: boolean
  /** Whether its storage is a node-redis client and nothing else. */
  readonly needsRedis?: boolean
  /** Whether all accounts share one MSAL client with a plugin, which concurrent calls break. */
  readonly oneAtATime?: boolean
  /** Whether it answers logout callbacks. */
  readonly logout?: boolean
  /** Whether it differs from the others of its kind in hits only. */
  readonly hitsOnly?: boolean
}

/** In the order in which tables and plots show them. */
export const CONTENDERS: Readonly<Record<ContenderName, ContenderFacts>> = {
  msal: { label: 'MSAL alone, in memory' },
  blob: { label: 'one record for everybody', oneAtATime: true },
  'microsoft-sample': { label: "Microsoft's plugin as in its sample" },
  'microsoft-redis': { label: "Microsoft's plugin on node-redis", needsRedis: true },
  microsoft: { label: "Microsoft's plugin on the same Keyv" },
  plugin: { label: 'msal-keyv: plugin.forAccount', seals: true },
  first: { label: 'msal-keyv: ConfidentialClients, first hit', seals: true, hitsOnly: true },
  clients: { label: 'msal-keyv: ConfidentialClients', seals: true, logout: true },
}

export const CONTENDER_NAMES = Object.keys(CONTENDERS) as ContenderName[]

export const STORES: Readonly<Record<StoreKind, string>> = {
  map: 'Map',
  sqlite: 'SQLite',
  redis: 'Redis',
  'redis-cached': 'Redis with client-side caching',
}

export const OPERATIONS: Readonly<Record<Operation, string>> = {
  hit: 'silent hit',
  refresh: 'silent refresh',
  'sign-in': 'sign-in',
  eviction: 'eviction',
  'front-channel': 'front-channel logout',
  'back-channel': 'back-channel logout',
}

export function isRedis(store: StoreKind): boolean {
  return store === 'redis' || store === 'redis-cached'
}

export function labelOf({ contender, sealed }: { contender: ContenderName; sealed: boolean }): string {
  return `${CONTENDERS[contender].label}${sealed ? ', sealed' : ''}`
}
