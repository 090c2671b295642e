import { isDeepStrictEqual } from 'node:util'
import { emptyCache, OWNED_SECTIONS, type SerializedCache } from './schema.ts'

/**
 * What a call acquired: the entities that are new or another than before, the accounts that they are of, and all app
 * metadata.
 */
export function acquiredBetween(before: SerializedCache, after: SerializedCache): SerializedCache {
  const acquired: SerializedCache = { ...emptyCache(), AppMetadata: after.AppMetadata }
  const owners = new Set<string>()
  for (const section of OWNED_SECTIONS) {
    for (const [key, entity] of Object.entries(after[section])) {
      if (isDeepStrictEqual(before[section][key], entity)) continue
      Object.assign(acquired[section], { [key]: entity })
      owners.add(entity.home_account_id)
    }
  }
  for (const [key, account] of Object.entries(after.Account)) {
    if (owners.has(account.home_account_id)) acquired.Account[key] = account
  }
  return acquired
}
