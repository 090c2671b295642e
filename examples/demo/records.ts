import type { Keyv } from 'keyv'

export type RecordKind =
  | 'partition'
  | 'generation'
  | 'session link'
  | 'person link'
  | 'logout token'
  | 'other'

/** By the end of the key. The demo's app makes no others. */
const kinds: Record<string, RecordKind> = {
  _p: 'partition',
  _g: 'generation',
  _s: 'session link',
  _u: 'session link',
  _n: 'person link',
  _d: 'person link',
  _j: 'logout token',
}

/** A record of the store as the page shows it: all but the tokens. */
export interface RecordView {
  readonly key: string
  readonly kind: RecordKind
  readonly bytes: number
  /** Its own, or, of links, those of the accounts that they lead to. */
  readonly generations: readonly string[]
  readonly expiresAt: Date
  /** Of partitions: whose they are, and what they hold. */
  readonly partition?: TokenCacheView
}

/** What a token cache in MSAL's format holds, without a token. */
export interface TokenCacheView {
  readonly usernames: readonly string[]
  readonly accessTokens: readonly { scopes: string; expiresAt: Date }[]
  readonly refreshTokens: number
}

/** Everything that msal-keyv keeps in the store. An app has no use for this; it is here to be looked at. */
export async function readRecords(store: Keyv): Promise<RecordView[]> {
  const records: RecordView[] = []
  for await (const [key, value] of entriesOf(store)) {
    // The canary, by which the library sees that a store answers, holds nothing.
    if (key.startsWith('mk1_{')) records.push(viewRecord(key, value))
  }
  return records.sort((a, b) => a.key.localeCompare(b.key))
}

export async function* entriesOf(store: Keyv): AsyncGenerator<[key: string, value: string]> {
  for await (const [key, value] of store.iterator?.(undefined) ?? []) yield [key, value]
}

/** A header line, then what is kept: of a partition, MSAL's own cache format. */
function viewRecord(key: string, value: string): RecordView {
  const [line = '', body = ''] = value.split('\n', 2)
  const header: { g?: string; x: number } = JSON.parse(line)
  const kind = kinds[key.slice(-2)] ?? 'other'
  const isLink = kind === 'session link' || kind === 'person link'
  const view = {
    key,
    kind,
    bytes: Buffer.byteLength(value),
    generations: isLink ? linkedGenerations(JSON.parse(body)) : [header.g ?? []].flat(),
    expiresAt: new Date(header.x),
  }
  return kind === 'partition' ? { ...view, partition: viewTokenCache(body) } : view
}

function linkedGenerations(links: [homeAccountId: string, generation: string][]): string[] {
  return links.map(([, generation]) => generation)
}

interface MsalCache {
  Account?: Record<string, { username: string }>
  AccessToken?: Record<string, { target: string; expires_on: string }>
  RefreshToken?: Record<string, unknown>
}

/** @param json in MSAL's cache format, which Microsoft's plugin stores as it is */
export function viewTokenCache(json: string): TokenCacheView {
  const { Account = {}, AccessToken = {}, RefreshToken = {} }: MsalCache = JSON.parse(json)
  return {
    usernames: Object.values(Account).map(({ username }) => username),
    accessTokens: Object.values(AccessToken).map(({ target, expires_on }) => ({
      scopes: target,
      expiresAt: new Date(Number(expires_on) * 1000),
    })),
    refreshTokens: Object.keys(RefreshToken).length,
  }
}
