import type { Keyv } from 'keyv'

/** A record of the store as the page shows it: all but the tokens. */
export interface RecordView {
  readonly key: string
  readonly bytes: number
  readonly generation: string
  readonly expiresAt: Date
  /** Of partitions only: whose they are, and what they hold. */
  readonly partition?: PartitionView
}

export interface PartitionView {
  readonly usernames: readonly string[]
  readonly accessTokens: readonly { scopes: string; expiresAt: Date }[]
  readonly hasRefreshToken: boolean
}

/** Everything that msal-keyv keeps in the store. An app has no use for this; it is here to be looked at. */
export async function readRecords(store: Keyv): Promise<RecordView[]> {
  const records: RecordView[] = []
  for await (const [key, value] of store.iterator?.(undefined) ?? []) {
    if (key.startsWith('mk1_')) records.push(viewRecord(key, value))
  }
  return records.sort((a, b) => a.key.localeCompare(b.key))
}

/** A header line, then MSAL's own cache format: https://github.com/AzureAD/microsoft-authentication-library-for-js */
function viewRecord(key: string, value: string): RecordView {
  const [line = '', body] = value.split('\n', 2)
  const header: { g: string; x: number } = JSON.parse(line)
  const view = { key, bytes: Buffer.byteLength(value), generation: header.g, expiresAt: new Date(header.x) }
  return body ? { ...view, partition: viewPartition(JSON.parse(body)) } : view
}

interface MsalCache {
  Account?: Record<string, { username: string }>
  AccessToken?: Record<string, { target: string; expires_on: string }>
  RefreshToken?: Record<string, unknown>
}

function viewPartition({ Account = {}, AccessToken = {}, RefreshToken = {} }: MsalCache): PartitionView {
  return {
    usernames: Object.values(Account).map(({ username }) => username),
    accessTokens: Object.values(AccessToken).map(({ target, expires_on }) => ({
      scopes: target,
      expiresAt: new Date(Number(expires_on) * 1000),
    })),
    hasRefreshToken: Object.keys(RefreshToken).length > 0,
  }
}
