import type { KeyvLike } from '../../src/index.ts'

/** Puts what no parser takes in the place of a record: past Keyv, under the key that it asks its adapter for. */
export async function damage(keyv: KeyvLike, key: string, text = 'what nobody can parse'): Promise<void> {
  const { store, useKeyPrefix, namespace } = keyv as {
    store?: { set(key: string, value: string): unknown }
    useKeyPrefix?: boolean
    namespace?: string
  }
  await store?.set(useKeyPrefix ? `${namespace}:${key}` : key, text)
}
