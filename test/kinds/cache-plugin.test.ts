import { TokenCacheContext } from '@azure/msal-node'
import Keyv from 'keyv'
import { beforeEach, describe, expect, test } from 'vitest'
import { RecordPlugin, type Write } from '../../src/kinds/cache-plugin.ts'
import { emptyCache, parseSerialized, type SerializedCache } from '../../src/msal/schema.ts'
import { backingOf, KeyvCachePlugin } from '../../src/plugin.ts'
import { CLIENT_ID, EntraStandIn, type User } from '../support/entra.ts'
import { isStored } from '../support/stored.ts'

/** What a kind of plugin says and does, and what was asked of it. */
class Note extends RecordPlugin<string | undefined, object> {
  readonly key = 'the note'
  protected readonly mayGoUnstored = 'all'
  stored: string | undefined
  readonly writes: Write<string | undefined>[] = []
  loads = 0
  locks = 0
  canBeSeen = true
  staysInMemory = true
  /** What a step does that fails. */
  failing: 'load' | 'loadForWrite' | 'visible' | 'commit' | undefined
  /** What a commit leaves to others. */
  left: SerializedCache = emptyCache()
  whileCommitting: () => void = () => {}

  protected async load() {
    this.#fail('load')
    this.loads++
    return this.stored
  }

  protected async loadForWrite() {
    this.#fail('loadForWrite')
    this.locks++
    let held = true
    const unlock = () => {
      if (held) this.locks--
      held = false
    }
    return { loaded: this.stored, unlock }
  }

  protected fingerprintOf(loaded: string | undefined) {
    return loaded
  }

  protected recordOf() {
    return undefined
  }

  protected originOf() {
    return undefined
  }

  async route() {
    return ''
  }

  protected visible(loaded: string | undefined) {
    this.#fail('visible')
    return this.canBeSeen ? loaded : undefined
  }

  protected mayStay() {
    return this.staysInMemory
  }

  protected ownerOf() {
    return 'the account'
  }

  question() {
    return ['note']
  }

  async ask() {
    return null
  }

  protected async commit(write: Write<string | undefined>) {
    this.#fail('commit')
    this.whileCommitting()
    this.writes.push(write)
    return this.left
  }

  #fail(step: typeof this.failing): void {
    if (this.failing === step) throw new Error(`${step} fails`)
  }
}

const entra = new EntraStandIn({ size: 'small' })
const [alice, bob] = [entra.user(), entra.user()]
const plugin = new KeyvCachePlugin({ store: new Keyv(), clientId: CLIENT_ID })

let note: Note
let client: ReturnType<EntraStandIn['client']>
let alices: SerializedCache
beforeEach(async () => {
  note = new Note(backingOf(plugin))
  client = entra.client(note)
  alices = await cacheOf(alice)
  note.stored = JSON.stringify(alices)
})

async function cacheOf(user: User): Promise<SerializedCache> {
  const elsewhere = entra.client()
  await entra.signIn(elsewhere, user)
  return parseSerialized(elsewhere.getTokenCache().serialize())
}

const memory = () => parseSerialized(client.getTokenCache().serialize())
const read = () => client.getTokenCache().getAllAccounts()
const idsOf = (cache: SerializedCache) =>
  Object.values(cache.Account).map((account) => account.home_account_id)

describe('a load', () => {
  test('shows what is stored and may be seen, and nothing else', async () => {
    await read()
    expect(memory()).toEqual(alices)
    note.canBeSeen = false
    expect(await read()).toEqual([])
    expect(memory()).toEqual(emptyCache())
    expect(note.loads).toBe(2)
  })

  test('takes what was loaded ahead, once', async () => {
    const ahead = await note.loadAhead()
    expect(ahead.fingerprint()).toBe(note.stored)
    expect(ahead.read()).toEqual(alices)
    await read()
    expect(note.loads).toBe(1)
    await read()
    expect(note.loads).toBe(2)
  })

  test('that fails is an error, and so is one that may not be seen; the client goes on afterwards', async () => {
    await read()
    for (const failing of ['load', 'visible'] as const) {
      note.failing = failing
      await expect(read()).rejects.toThrow(failing)
      note.failing = undefined
    }
    expect(await read()).toHaveLength(1)
  })

  test('of what may not be seen, since looking fails, leaves nothing in memory', async () => {
    await read()
    note.failing = 'visible'
    await expect(read()).rejects.toThrow('visible')
    expect(memory()).toEqual(emptyCache())
  })
})

describe('a write', () => {
  test('tells the commit what was shown, what MSAL made of it, and what is new', async () => {
    await entra.signIn(client, bob)
    const [write = expect.fail('nothing was committed')] = note.writes
    expect(write).toMatchObject({ loaded: note.stored, shown: alices, isIntact: true, hasChanged: true })
    expect(idsOf(write.all).sort()).toEqual([alice, bob].map((user) => user.homeAccountId).sort())
    expect(idsOf(write.acquired)).toEqual([bob.homeAccountId])
  })

  test('follows a load, or does not', async () => {
    await entra.signIn(client, bob)
    await read()
    await entra.signIn(client, bob)
    await entra.signIn(client, bob)
    expect(note.writes.map(({ followsLoad }) => followsLoad)).toEqual([false, true, false])
  })

  test('leaves in memory what may stay there, and nothing else by the time of the commit (P12)', async () => {
    for (const stays of [true, false]) {
      note.staysInMemory = stays
      let ids: string[] = []
      note.whileCommitting = () => {
        ids = idsOf(memory())
      }
      await entra.signIn(client, bob)
      expect(ids.includes(bob.homeAccountId)).toBe(stays)
      expect(idsOf(memory()).includes(bob.homeAccountId)).toBe(stays)
    }
  })

  test.each(['loadForWrite', 'visible', 'commit'] as const)(
    'whose %s fails rejects, commits nothing, and holds up nobody (P7)',
    async (failing) => {
      note.failing = failing
      await expect(entra.signIn(client, bob)).rejects.toThrow(failing)
      expect(note.writes).toEqual([])
      expect(note.locks).toBe(0)
      note.failing = undefined
      await entra.signIn(client, bob)
      expect(note.writes).toHaveLength(1)
      expect(note.locks).toBe(0)
    },
  )

  test('stores sign-ins that its commit leaves, and no answer that brings no account', async () => {
    const [signedIn, refreshed] = [entra.user(), entra.user()]
    const left = await cacheOf(signedIn)
    const { RefreshToken } = await cacheOf(refreshed)
    note.left = { ...left, RefreshToken: { ...left.RefreshToken, ...RefreshToken } }
    await entra.signIn(client, bob)
    expect(await isStored(plugin, signedIn)).toBe(true)
    expect(await isStored(plugin, refreshed)).toBe(false)
  })

  test('that never began is not committed, and not lost in silence (P13)', async () => {
    const context = new TokenCacheContext(client.getTokenCache(), true)
    await expect(note.afterCacheAccess(context)).rejects.toMatchObject({ code: 'ERR_CONFIGURATION' })
    expect(note.writes).toEqual([])
  })
})

test.each(['nonsense', '{"Account":7}', JSON.stringify(emptyCache())])(
  'what MSAL cannot read is shown as nothing: %s (P8)',
  async (text) => {
    note.stored = text
    expect(await read()).toEqual([])
    expect((await note.loadAhead()).read()).toBeUndefined()
  },
)
