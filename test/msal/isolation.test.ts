import fc from 'fast-check'
import Keyv from 'keyv'
import { expect, test } from 'vitest'
import { KeyvCachePlugin } from '../../src/index.ts'
import { acquireSilently, CLIENT_ID, EntraStandIn, type User } from '../support/entra.ts'
import { mutant } from '../support/mutant.ts'
import { keysOf } from '../support/stored.ts'

const USERS = 50
const OPERATIONS = 10_000
const AT_ONCE = 25

const KINDS = ['sign-in', 'silent', 'refresh', 'accounts', 'remove', 'evict', 'bound'] as const

interface Operation {
  readonly kind: (typeof KINDS)[number]
  readonly user: number
  /** Microtasks after which it begins. */
  readonly offset: number
}

const OPERATION: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom(...KINDS, 'sign-in', 'refresh'),
  user: fc.nat({ max: USERS - 1 }),
  offset: fc.nat({ max: 60 }),
})

/** A Map that looks at every record as it is written. */
class GuardedMap extends Map<string, string> {
  readonly foreign: string[] = []
  writes = 0
  readonly #entra: EntraStandIn
  readonly #owners: Map<string, string>

  constructor(entra: EntraStandIn, owners: Map<string, string>) {
    super()
    this.#entra = entra
    this.#owners = owners
  }

  override set(key: string, value: string): this {
    const record = (JSON.parse(value) as { value: string }).value
    const owner = this.#owners.get(key.replace('keyv:', ''))
    const body = record.slice(record.indexOf('\n') + 1)
    if (owner !== undefined && body !== '') this.#check(owner, body)
    return super.set(key, value)
  }

  #check(owner: string, body: string): void {
    this.writes++
    const { AppMetadata, ...sections } = JSON.parse(body) as Record<string, Record<string, Entity>>
    for (const entity of Object.values(sections).flatMap((section) => Object.values(section))) {
      const issuedTo = entity.secret === undefined ? owner : this.#entra.ownerOf(entity.secret)?.homeAccountId
      if (entity.home_account_id !== owner || issuedTo !== owner) this.foreign.push(owner)
    }
  }
}

interface Entity {
  home_account_id: string
  secret?: string
}

/** Random operations of 50 users on one shared client. @returns the foreign entities ever written, and the writes */
async function play(Plugin: typeof KeyvCachePlugin, operations: number) {
  const entra = new EntraStandIn({ size: 'small' })
  const users = Array.from({ length: USERS }, () => entra.user())
  const map = new GuardedMap(
    entra,
    new Map(users.map(({ homeAccountId }) => [keysOf(homeAccountId).partition, homeAccountId])),
  )
  const plugin = new Plugin({ store: new Keyv({ store: map }), clientId: CLIENT_ID })
  const shared = entra.client(plugin)
  const cache = shared.getTokenCache()

  const perform = async ({ kind, user: index, offset }: Operation) => {
    const user = users[index] as User
    const id = user.homeAccountId
    for (let i = 0; i < offset; i++) await undefined
    switch (kind) {
      case 'sign-in':
        return entra.signIn(shared, user)
      case 'silent':
        return plugin.runAs(id, () => acquireSilently(shared, id))
      case 'refresh':
        return plugin.runAs(id, () => acquireSilently(shared, id, { forceRefresh: true }))
      case 'accounts':
        return plugin.runAs(id, () => cache.getAllAccounts())
      case 'remove':
        return plugin.runAs(id, async () => {
          const account = await cache.getAccountByHomeId(id)
          if (account) await cache.removeAccount(account)
        })
      case 'evict':
        return plugin.evictAccount(id)
      case 'bound':
        return acquireSilently(entra.client(plugin.forAccount(id)), id, { forceRefresh: true })
    }
  }
  const drawn = fc.sample(OPERATION, { numRuns: operations })
  let done = 0
  for (let start = 0; start < drawn.length; start += AT_ONCE) {
    const outcomes = await Promise.allSettled(drawn.slice(start, start + AT_ONCE).map(perform))
    done += outcomes.filter(({ status }) => status === 'fulfilled').length
  }
  const left = Object.values(cache.getKVStore()).filter(
    (entity) => typeof entity === 'object' && 'homeAccountId' in entity,
  )
  return { foreign: map.foreign, writes: map.writes, done, left }
}

test('10,000 random operations of 50 users on one shared client: no foreign entity in any record, ever (P1)', async () => {
  const { foreign, writes, done, left } = await play(KeyvCachePlugin, OPERATIONS)
  expect(foreign).toEqual([])
  expect(writes).toBeGreaterThan(OPERATIONS / 10)
  expect(done).toBeGreaterThan(OPERATIONS / 2)
  expect(left).toEqual([])
})

test('without a split by owner it is found out', async () => {
  const broken = await mutant(
    'msal/account-plugin.ts',
    'mergeCaches(splitByOwner(all).get(this.#homeAccountId) ?? emptyCache(), adopted)',
    'mergeCaches(all, adopted)',
  )
  expect((await play(broken.KeyvCachePlugin, 500)).foreign.length).toBeGreaterThan(0)
})
