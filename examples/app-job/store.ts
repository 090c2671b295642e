// Where the tokens lie, and what seals them. This file is the same in every example.
import KeyvRedis, { createClient } from '@keyv/redis'
import { Keyv } from 'keyv'
import { type EncryptionKey, generateEncryptionKey } from 'msal-keyv'

const { REDIS_URL, TOKEN_CACHE_KEYS } = process.env

/** Redis, or the memory of this process: then a restart signs everybody out, and there can be only one process. */
export async function openStore(): Promise<Keyv> {
  if (!REDIS_URL) return new Keyv()
  const client = createClient({
    url: REDIS_URL,
    disableOfflineQueue: true,
    pingInterval: 5_000,
    socket: {
      connectTimeout: 2_000,
      socketTimeout: 10_000,
      reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, 2_000),
    },
  })
  const adapter = new KeyvRedis(client, { throwOnErrors: true, connectionTimeout: 2_000 })
  await adapter.getClient()
  return new Keyv(adapter, { namespace: '', useKeyPrefix: false })
}

/** The keys of all processes, from a vault. What is in memory only needs no key that outlives it. */
export function encryptionKeys(): EncryptionKey[] {
  if (TOKEN_CACHE_KEYS) return JSON.parse(TOKEN_CACHE_KEYS) as EncryptionKey[]
  if (REDIS_URL) throw new Error('TOKEN_CACHE_KEYS must be set: what is in Redis outlives this process')
  return [generateEncryptionKey()]
}
