import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, globSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import KeyvSqlite from '@keyv/sqlite'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeStore } from '../support/open-store.ts'
import { makeFolder, removeFolder } from '../support/programs.ts'
import { type Fault, FaultyHost, watchForCrashes } from './host.ts'
import { MAJORS } from './majors.ts'
import { SQLITE_FAULTS } from './table.ts'

/** Long enough for a disk that others are using. */
const STORE_TIMEOUT = 2_000
const SHORT_STORE_TIMEOUT = 400
const BUSY_TIMEOUT = 100
const NOBODY = 65_534

const crashes = watchForCrashes()
afterAll(() => crashes.check())

describe.each(MAJORS)('SQLite, %s', (_, make) => {
  let folder: string
  let file: string
  let adapter: KeyvSqlite
  let host: FaultyHost
  let opened: object[]
  let locker: ChildProcess

  beforeEach(async () => {
    folder = await makeFolder()
    file = join(folder, 'tokens.sqlite')
    opened = []
    ;({ adapter, host } = await open())
  })
  afterEach(async () => {
    await Promise.all(opened.map(closeStore))
    await removeFolder(folder)
  })

  async function open({ wal = true, busyTimeout = BUSY_TIMEOUT, storeTimeout = STORE_TIMEOUT } = {}) {
    const adapter = new KeyvSqlite({ uri: `sqlite://${file}`, busyTimeout })
    await adapter.query(`PRAGMA journal_mode = ${wal ? 'WAL' : 'DELETE'}`)
    const keyv = make(adapter)
    opened.push(keyv)
    return { adapter, keyv, host: new FaultyHost(keyv, storeTimeout, host?.entra) }
  }

  async function lock(mode: 'IMMEDIATE' | 'EXCLUSIVE'): Promise<void> {
    locker = fork(new URL('sqlite-lock-process.ts', import.meta.url), [file, mode], { stdio: 'inherit' })
    await once(locker, 'message')
  }

  async function unlock(): Promise<void> {
    const ended = once(locker, 'exit')
    locker.send('unlock')
    await ended
  }

  /** No page more, and no room left in those that there are. */
  async function fill(): Promise<void> {
    await adapter.query('CREATE TABLE IF NOT EXISTS filling (bytes BLOB)')
    await adapter.query('PRAGMA max_page_count = 1')
    for (const size of [3_000, 300, 30]) {
      const insert = () => adapter.query(`INSERT INTO filling VALUES (zeroblob(${size}))`)
      while (await insert().then(Boolean, () => false));
      for (let n = 0, failed = 0; failed < 30; n++) {
        await adapter.set(`filling ${size} ${n}`, ' '.repeat(size)).catch(() => failed++)
      }
    }
  }

  const faults = {
    locked: { inject: () => lock('IMMEDIATE'), heal: unlock },
    full: { inject: fill, heal: () => adapter.query('PRAGMA max_page_count = 1000000') },
    removed: {
      inject() {
        for (const path of globSync(`${file}*`)) rmSync(path)
      },
      heal() {},
    },
    readOnly: {
      inject() {
        for (const path of globSync(`${file}*`)) chmodSync(path, 0o444)
      },
      heal() {},
    },
  } satisfies { [Name in keyof typeof SQLITE_FAULTS]?: Fault }

  test.each(Object.entries(faults))('%s', async (name, fault: Fault) => {
    host.check(SQLITE_FAULTS[name as keyof typeof faults], await host.suffer(fault))
  })

  test('damaged', async () => {
    host.check(SQLITE_FAULTS.damaged, await host.sufferDamage())
  })

  test('lockedLong', async () => {
    const { host } = await open({ busyTimeout: 60_000, storeTimeout: SHORT_STORE_TIMEOUT })
    const fault = { inject: () => lock('IMMEDIATE'), heal: unlock }
    host.check(SQLITE_FAULTS.lockedLong, await host.suffer(fault))
  })

  test('lockedJournal', async () => {
    await Promise.all(opened.map(closeStore))
    opened = []
    const { host } = await open({ wal: false })
    const fault = { inject: () => lock('EXCLUSIVE'), heal: unlock }
    host.check(SQLITE_FAULTS.lockedJournal, await host.suffer(fault))
  })

  test('readOnlyAtStart', async () => {
    // The first write makes the files beside it. Made later, they would be read-only too, for all but root.
    await host.signIn(host.entra.user())
    // The folder may be written to: SQLite has files of its own in it.
    const isRoot = process.geteuid?.() === 0
    if (isRoot) chownSync(folder, NOBODY, NOBODY)
    for (const path of globSync(`${file}*`)) chmodSync(path, path === file ? 0o444 : 0o666)
    if (isRoot) process.seteuid?.(NOBODY)
    const { host: late } = await open().finally(() => isRoot && process.seteuid?.(0))
    const fault = { inject() {}, heal() {} }
    late.check(SQLITE_FAULTS.readOnlyAtStart, await late.suffer(fault, host, async () => host))
  })

  test('removed while open: whoever opens it anew sees nobody, and no eviction of those who have it open', async () => {
    const session = await host.signIn(host.entra.user())
    faults.removed.inject()
    const { host: anew } = await open()
    expect(await host.isSignedIn(session)).toBe(true)
    expect(await anew.isSignedIn(session)).toBe(false)
    const again = await anew.signIn(anew.entra.user())
    await host.evict(again)
    expect(await anew.isSignedIn(again)).toBe(true)
  })

  test('four blocked writes use up the thread pool of Node.js: nothing else reads a file meanwhile', async () => {
    const users = await Promise.all(Array.from({ length: 4 }, () => host.signIn(host.entra.user())))
    await lock('IMMEDIATE')
    const evictions = Promise.allSettled(users.map((user) => host.evict(user)))
    const start = performance.now()
    await readFile(import.meta.filename)
    expect(performance.now() - start).toBeGreaterThan(BUSY_TIMEOUT / 2)
    expect((await evictions).map(({ status }) => status)).toEqual(Array(4).fill('rejected'))
    await unlock()
  })
})
