import type { JsonCache } from '@azure/msal-node'
import { RemoteMap } from '../comparison/remote-map.ts'
import { StockHost } from '../comparison/stock-host.ts'
import { acquireSilently, type EntraStandIn, type User } from '../support/entra.ts'

const SECTIONS = ['Account', 'IdToken', 'AccessToken', 'RefreshToken'] as const

export type Entities = Pick<JsonCache, (typeof SECTIONS)[number]>

/** Whose entities a cache holds. */
export function ownersIn(cache: Entities): Set<string> {
  return new Set(SECTIONS.flatMap((name) => Object.values(cache[name]).map((each) => each.home_account_id)))
}

/** A blob of many accounts. MSAL gets slower with each that is in its memory, so it signs them in by the hundred. */
export async function blobOf(entra: EntraStandIn, users: readonly User[]): Promise<string> {
  const blob = { Account: {}, IdToken: {}, AccessToken: {}, RefreshToken: {}, AppMetadata: {} }
  for (let begin = 0; begin < users.length; begin += 100) {
    const client = entra.client()
    for (const user of users.slice(begin, begin + 100)) await entra.signIn(client, user)
    const part = JSON.parse(client.getTokenCache().serialize()) as Entities
    for (const name of SECTIONS) Object.assign(blob[name], part[name])
  }
  return JSON.stringify(blob)
}

/**
 * The records of two people whom an app with Microsoft's plugin serves at once on one client: each of them is asked
 * for a refresh while that of the other is in flight, so that both records hold the tokens of both.
 */
export async function pollutedRecords(entra: EntraStandIn, pair: [User, User]): Promise<Map<string, string>> {
  const store = new RemoteMap()
  const host = new StockHost(entra, store)
  for (const user of pair) await entra.signIn(host.signInClient(), user)
  const refresh = async (user: User) => {
    const held = entra.hold(({ homeAccountId }) => homeAccountId === user.homeAccountId)
    const { homeAccountId } = user
    const done = host.serve(user, () => acquireSilently(host.shared, homeAccountId, { forceRefresh: true }))
    await held.arrived
    return { done, release: held.release }
  }
  for (const [first, second] of [pair, [...pair].reverse()]) {
    if (first === undefined || second === undefined) continue
    const [one, two] = [await refresh(first), await refresh(second)]
    for (const each of [one, two]) {
      each.release()
      await each.done
    }
  }
  return store.entries
}
