import { emptyCache, type SerializedCache } from './schema.ts'

const KEY_PREFIX = 'appmetadata-msal-keyv-'

/**
 * A cache that adds nothing but a mark to MSAL's memory, by which it can be seen later whether memory was cleared:
 * app metadata is serialized, is kept by `removeAccount`, and is cleared with all the rest.
 */
export function markedCache(mark: string): string {
  const entity = { client_id: 'msal-keyv', environment: `${mark}.msal-keyv.invalid` }
  return JSON.stringify({ ...emptyCache(), AppMetadata: { [`${KEY_PREFIX}${mark}`]: entity } })
}

export function hasMark(cache: SerializedCache, mark: string): boolean {
  return Object.hasOwn(cache.AppMetadata, `${KEY_PREFIX}${mark}`)
}

export function withoutMarks(cache: SerializedCache): SerializedCache {
  const kept = Object.entries(cache.AppMetadata).filter(([key]) => !key.startsWith(KEY_PREFIX))
  return { ...cache, AppMetadata: Object.fromEntries(kept) }
}
