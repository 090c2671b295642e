import { describe, expect, test } from 'vitest'
import { beginSignIn, redemptionOf } from '../src/clients/sign-in.ts'
import { LogoutCallbackError, StoreUnavailableError } from '../src/errors.ts'
import { parseGraphNotification } from '../src/graph/notifications.ts'
import { parseLogoutCallback } from '../src/logout/parse.ts'
import { salvage } from '../src/migrate/salvage.ts'
import { mutant } from './support/mutant.ts'

/**
 * What anybody can send, of any size that is let in, must cost time in proportion to it (P11). What counts is the CPU time
 * of this thread, and the least of several runs: a busy machine makes a run longer and never shorter.
 */
const SMALL = 8 * 1024
const TIMES = 8
/** Three times what is linear, and three eighths of what is quadratic. */
const MOST = TIMES * 3
/** Milliseconds for the larger text that are not worth a comparison. */
const NEGLIGIBLE = 3

// Of Node 24, on which the tests run. The whole process has other threads.
const { threadCpuUsage } = process as unknown as {
  threadCpuUsage(since?: NodeJS.CpuUsage): NodeJS.CpuUsage
}

type Run = (text: string) => unknown

async function cpuOf(run: Run, text: string): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let runs = 0; runs < 5; runs++) {
    const before = threadCpuUsage()
    try {
      await run(text)
    } catch {
      // A refusal costs time too.
    }
    const { user, system } = threadCpuUsage(before)
    least = Math.min(least, (user + system) / 1000)
  }
  return least
}

/** How many times as long the larger text takes. */
async function growth(run: Run, make: (length: number) => string, small = SMALL): Promise<number> {
  const large = await cpuOf(run, make(small * TIMES))
  if (large < NEGLIGIBLE) return 1
  return large / Math.max(await cpuOf(run, make(small)), NEGLIGIBLE / TIMES)
}

const repeated = (unit: string) => (length: number) =>
  unit.repeat(Math.ceil(length / unit.length)).slice(0, length)

/** Of which patterns that are not linear are afraid. */
const TEXTS: [name: string, make: (length: number) => string][] = [
  ['letters', repeated('a')],
  ['spaces', repeated(' ')],
  ['backslashes', repeated('\\')],
  ['quotes', repeated('"')],
  ['dots', repeated('.')],
  ['braces', repeated('{')],
  ['brackets', repeated('[')],
  ['slashes', repeated('/')],
  ['schemes', repeated('a://')],
  ['schemes and ats', repeated('redis://a:b@')],
  ['secrets without an end', repeated('token="')],
  ['secrets and spaces', repeated('password   ')],
  ['names of hosts', repeated('a-b.')],
  ['percent signs', repeated('%')],
  ['ampersands', repeated('&a=')],
  ['one parameter', repeated('&sid=a')],
  ['GUIDs', repeated('/00000000-0000-0000-0000-00000000000')],
  ['JSON', repeated('{"v":')],
]

const ISSUER = 'https://op.example'
const LOGOUT = { issuer: ISSUER, clientId: 'client', jwks: { keys: [] } }
const { pending } = beginSignIn({ scopes: ['s'], redirectUri: 'https://app.example/callback' })
const clientState = 'x'.repeat(32)
const graph = (body: unknown) =>
  parseGraphNotification(
    { method: 'POST', url: '/', headers: { 'content-type': 'application/json' }, body } as never,
    {
      clientState,
    },
  )
const form = { 'content-type': 'application/x-www-form-urlencoded' }
const header = Buffer.from('{"alg":"RS256"}').toString('base64url')

const ENTRIES: [name: string, run: Run][] = [
  ['a logout token', (text) => back(`logout_token=${encodeURIComponent(text)}`)],
  [
    'the parts of a logout token',
    (text) => back(`logout_token=${header}.${Buffer.from(text).toString('base64url')}.a`),
  ],
  ['the form of a logout', (text) => back(text)],
  ['the query of a logout', (text) => parseLogoutCallback({ method: 'GET', url: `/?${text}` }, LOGOUT)],
  ['the URL of a logout', (text) => parseLogoutCallback({ method: 'GET', url: text }, LOGOUT)],
  ["a notification's body", graph],
  [
    "a notification's resource",
    (text) => graph({ value: [{ clientState, resource: text, changeType: 'updated' }] }),
  ],
  ['an import', (text) => salvage(text, 'client')],
  [
    "an import's entity",
    (text) => salvage(JSON.stringify({ Account: { [text]: { home_account_id: text } } }), 'client'),
  ],
  [
    'an error of a driver',
    (text) => new StoreUnavailableError('read', { timedOut: false, cause: new Error(text) }),
  ],
  [
    'an error of a function that finds keys',
    (text) =>
      new LogoutCallbackError('keys', { keysUnavailable: true, cause: new Error(`no key for ${text}`) }),
  ],
  ['the state of an authorization response', (text) => redemptionOf(pending, { state: text })],
  [
    'the error of an authorization response',
    (text) => redemptionOf(pending, { state: pending.state, error: text }),
  ],
]

function back(body: string): unknown {
  return parseLogoutCallback({ method: 'POST', url: '/', headers: form, body }, LOGOUT)
}

describe('what arrives takes CPU time in proportion to its length (P11, E7)', () => {
  test.each(ENTRIES)('%s', async (_, run) => {
    for (const [name, make] of TEXTS) expect(await growth(run, make), name).toBeLessThan(MOST)
  })
})

describe('what is imported does, too (E13)', () => {
  const entity = (members: object) => ({
    home_account_id: 'a',
    environment: 'op.example',
    credential_type: 'RefreshToken',
    client_id: 'client',
    secret: 's',
    realm: 'r',
    ...members,
  })
  const cacheOf = (section: string, make: (index: number) => object) => (length: number) =>
    JSON.stringify({
      [section]: Object.fromEntries(Array.from({ length: length / 64 }, (_, i) => [`${i}`, make(i)])),
    })
  const account = (members: object) =>
    entity({ local_account_id: 'a', username: 'a', authority_type: 'MSSTS', ...members })

  test.each([
    ['refresh tokens of one account', cacheOf('RefreshToken', (i) => entity({ family_id: `${i}` }))],
    ['access tokens of one account', cacheOf('AccessToken', (i) => entity({ target: `scope-${i}` }))],
    ['accounts', cacheOf('Account', (i) => account({ home_account_id: `a${i}` }))],
    [
      'accounts and metadata of one provider',
      (length: number) =>
        JSON.stringify({
          ...(JSON.parse(cacheOf('Account', (i) => account({ home_account_id: `a${i}` }))(length)) as object),
          ...(JSON.parse(cacheOf('AppMetadata', () => entity({}))(length)) as object),
        }),
    ],
  ])('%s', async (_, make) => {
    expect(await growth((text) => salvage(text, 'client'), make, 64 * 1024)).toBeLessThan(MOST)
  })
})

describe('broken on purpose, it is found', () => {
  test('errors that are read whole', async () => {
    const broken = await mutant('causes read whole')
    const run = (text: string) =>
      new broken.StoreUnavailableError('read', { timedOut: false, cause: new Error(text) })
    expect(await growth(run, repeated('a://'), 4 * 1024)).toBeGreaterThan(MOST)
  })
})
