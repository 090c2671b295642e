/** The comparison of the demo: what it reports is what happened, on either side. */
import type { Keyv } from 'keyv'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type RunningProvider, startProvider } from '../../examples/demo/provider.ts'
import { entriesOf, readRecords } from '../../examples/demo/records.ts'
import { openStore } from '../../examples/demo/store.ts'
import { KeyvHost } from '../../examples/demo/story/keyv-host.ts'
import { type Report, scenarios } from '../../examples/demo/story/scenarios.ts'
import { Stage } from '../../examples/demo/story/stage.ts'
import { type RunningStory, type Side, startStory } from '../../examples/demo/story/story.ts'
import { Timeline } from '../../examples/demo/timeline.ts'

let provider: RunningProvider
let stores: Record<Side, Keyv>
let timeline: Timeline
let story: RunningStory

beforeEach(async () => {
  provider = await startProvider()
  stores = { stock: openStore(':memory:'), keyv: openStore(':memory:') }
  timeline = new Timeline()
  story = await startStory({ provider, stores, timeline })
})

afterEach(async () => {
  await Promise.all([story?.close(), provider?.close()])
  await Promise.all([stores?.stock.disconnect(), stores?.keyv.disconnect()])
  timeline?.close()
})

test('twenty sign-ins at once: one record with everybody, or one for each', async () => {
  const { stock, keyv } = await run('twenty')
  expect(stock.isRight).toBe(false)
  expect(stock.summary).toContain('19 of 20 people are signed out')
  expect(stock.steps.map(({ seen }) => seen)).toEqual([
    '1 record, 20 accounts, 20 refresh tokens',
    '19 of 20 are asked to sign in again',
  ])
  expect(stock.records).toMatchObject([{ refreshTokens: 20, flaw: '20 people in one record' }])
  expect(await stockRecords()).toEqual([20])

  expect(keyv.isRight).toBe(true)
  expect(keyv.steps.map(({ seen }) => seen)).toEqual([
    '20 records, 20 accounts, 20 refresh tokens',
    'all get a token',
  ])
  expect(keyv.records.map(({ accounts, flaw }) => ({ accounts, flaw }))).toEqual(
    stock.records[0]?.accounts.toSorted().map((name) => ({ accounts: [name], flaw: undefined })),
  )
  expect(await keyvRecords()).toEqual(Array(20).fill(1))
})

test('evict during a refresh: the tokens come back, or they do not', async () => {
  const { stock, keyv } = await run('eviction')
  expect(stock.isRight).toBe(false)
  expect(stock.steps.map(({ seen }) => seen)).toEqual([
    '1 record, 1 account, 1 refresh token',
    'nothing is stored',
    '1 record, 1 account, 1 refresh token',
    'a token from the cache',
  ])
  expect(stock.records).toMatchObject([{ accounts: ['alice'], flaw: 'came back after the eviction' }])
  expect(await stockRecords()).toEqual([1])

  expect(keyv.isRight).toBe(true)
  expect(keyv.steps.map(({ seen }) => seen)).toEqual([
    '1 record, 1 account, 1 refresh token',
    'nothing is stored',
    'nothing is stored',
    'asked to sign in again',
  ])
  expect(keyv.records).toEqual([])
  expect(await keyvRecords()).toEqual([])
  expect(heard()).toContain('refused-write: began before the eviction')
})

test('sign out of the other app: the tokens stay, or the callback ends them', async () => {
  const { stock, keyv } = await run('elsewhere')
  expect(stock.isRight).toBe(false)
  expect(stock.steps.map(({ seen }) => seen)).toEqual([
    '1 record, 1 account, 1 refresh token',
    'the app answers 501: nothing here reads logout tokens',
    'a new token from the provider',
  ])
  expect(stock.records).toMatchObject([{ accounts: ['alice'], flaw: 'left after the sign-out' }])
  expect(await stockRecords()).toEqual([1])

  expect(keyv.isRight).toBe(true)
  expect(keyv.steps.map(({ seen }) => seen)).toEqual([
    '1 record, 1 account, 1 refresh token',
    'the app answers 200: evicted',
    'asked to sign in again',
  ])
  expect(await keyvRecords()).toEqual([])
  expect(heard()).toEqual(expect.arrayContaining(['logout: evicted', 'evict: tokens deleted']))
})

test('what it reports carries no token', async () => {
  const secrets = new Set<string>()
  for (const { id } of scenarios) {
    await run(id)
    for (const store of Object.values(stores)) {
      for await (const [, value] of entriesOf(store)) {
        for (const [, secret = ''] of value.matchAll(/"secret":"([^"]+)"/g)) secrets.add(secret)
      }
    }
  }
  expect(secrets.size).toBeGreaterThan(100)
  const shown = JSON.stringify([story.scenarios, timeline.actions])
  for (const secret of secrets) expect(shown).not.toContain(secret)
})

test('two runs at once take turns, and what does not exist is not run', async () => {
  expect(await Promise.all([story.run('eviction'), story.run('elsewhere'), story.run('nothing')])).toEqual([
    true,
    true,
    false,
  ])
  const rights = story.scenarios.flatMap(({ outcome }) => (outcome ? [outcome.keyv.isRight] : []))
  expect(rights).toEqual([true, true])
  expect(story.scenarios.every(({ isRunning }) => !isRunning)).toBe(true)
})

describe('a host that does not keep what msal-keyv promises is called wrong', () => {
  /** Evicts nobody. */
  class Idle extends KeyvHost {
    override async evict() {}
  }

  /** Says yes to every callback. */
  class Deaf extends KeyvHost {
    override async logoutCallback() {
      return { status: 200, headers: {}, result: 'evicted' as const, evicted: [], endedAlone: [] }
    }
  }

  test('not evicting', async () => {
    const report = await play('eviction', Idle)
    expect(report).toMatchObject({
      isRight: false,
      records: [{ accounts: ['alice'], flaw: expect.any(String) }],
    })
  })

  test('not acting on the callback', async () => {
    const report = await play('elsewhere', Deaf)
    expect(report).toMatchObject({ isRight: false, records: [{ flaw: 'left after the sign-out' }] })
  })

  async function play(id: string, HostClass: typeof KeyvHost): Promise<Report> {
    const redirectUri = 'http://127.0.0.1:1/callback'
    const uris = { redirectUri, postLogoutRedirectUri: 'http://127.0.0.1:1/signed-out' }
    const configuration = await provider.register({ clientId: 'broken', ...uris })
    const other = await provider.register({ clientId: 'other', ...uris })
    const host = new HostClass(configuration, stores.keyv, provider.logout, timeline)
    const report = await scenarios
      .find((scenario) => scenario.id === id)
      ?.play(host, new Stage(provider, other, uris))
    if (!report) throw new Error('There is no such scenario')
    return report
  }
})

async function run(id: string): Promise<Record<Side, Report>> {
  await story.run(id)
  const outcome = story.scenarios.find((scenario) => scenario.id === id)?.outcome
  if (!outcome) throw new Error('Nothing was reported')
  return outcome
}

/** What the library's channels said during the last run. */
function heard(): string[] {
  const [action] = timeline.actions
  return (action?.entries ?? []).map(
    ({ channel, outcome }) => `${channel.slice('msal-keyv:'.length)}: ${outcome}`,
  )
}

/** How many accounts there are in each record, read past the story. */
async function stockRecords(): Promise<number[]> {
  const counts: number[] = []
  for await (const [, value] of entriesOf(stores.stock))
    counts.push(Object.keys(JSON.parse(value).Account).length)
  return counts
}

async function keyvRecords(): Promise<(number | undefined)[]> {
  const records = await readRecords(stores.keyv)
  return records.flatMap(({ partition }) => (partition ? [partition.usernames.length] : []))
}
