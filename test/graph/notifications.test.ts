import { describe, expect, test } from 'vitest'
import { ConfigurationError, GraphNotificationError } from '../../src/errors.ts'
import {
  type GraphNotification,
  type GraphNotificationCollection,
  type GraphUserChange,
  LONGEST_COLLECTION,
  MOST_NOTIFICATIONS,
  parseGraphNotification,
} from '../../src/graph/notifications.ts'
import type { CallbackRequest } from '../../src/logout/request.ts'
import { shown } from '../logout/outcome.ts'
import { DIRECTORY, lifecycleNotification, userNotification } from '../support/graph-notifications.ts'
import { mutant } from '../support/mutant.ts'
import type { MutantName } from '../support/mutants.ts'

const CLIENT_STATE = 'Yk0N5cW1yJ6r9tQ2mVb8xEo3'
const ALICE = '0aa1ce00-0000-4000-8000-00000000a11c'
const BOB = '00000b0b-0000-4000-8000-000000000b0b'
const SUBSCRIPTION = '7f105c7d-2dc5-4530-97cd-4e7ae6534c07'
const URL_OF_ROUTE = 'https://rp.example/graph'
const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' }

type Parse = (request: CallbackRequest) => Promise<GraphNotification>

const parse: Parse = (request) => parseGraphNotification(request, { clientState: CLIENT_STATE })

async function brokenParse(name: MutantName): Promise<Parse> {
  type Broken = { parseGraphNotification: typeof parseGraphNotification }
  const broken = await mutant<Broken>(name, 'parseGraphNotification')
  return (request) => broken.parseGraphNotification(request, { clientState: CLIENT_STATE })
}

/** A collection as a body parser has read it. */
function post(...value: unknown[]): CallbackRequest {
  return { method: 'POST', url: '/graph', headers: JSON_TYPE, body: { value } }
}

/** The same on its way. */
function sent(body: string, headers: Record<string, string> = JSON_TYPE): Request {
  return new Request(URL_OF_ROUTE, { method: 'POST', headers, body })
}

async function read(request: CallbackRequest, by: Parse = parse): Promise<GraphNotificationCollection> {
  const notification = await by(request)
  if (notification.kind !== 'notifications') throw new Error('a validation')
  return notification
}

async function refusal(outcome: Promise<unknown>): Promise<GraphNotificationError> {
  const error = await outcome.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(GraphNotificationError)
  expect(error).toMatchObject({ code: 'ERR_GRAPH_NOTIFICATION', name: 'GraphNotificationError' })
  return error as GraphNotificationError
}

const updated = (objectId: string): GraphUserChange => ({
  tenantId: DIRECTORY,
  objectId,
  changeType: 'updated',
})
const about = (changes: Record<string, unknown> = {}) => userNotification(ALICE, CLIENT_STATE, changes)

describe('a validation request', () => {
  const TOKEN = 'Validation: Testing client application reachability. Request-Id: 1+1=100% é'
  const query = new URLSearchParams({ validationToken: TOKEN }).toString()
  const plain = { 'content-type': 'text/plain; charset=utf-8' }

  test.each<[string, CallbackRequest]>([
    ['a web Request', new Request(`${URL_OF_ROUTE}?${query}`, { method: 'POST', headers: plain })],
    ['a web Request with a body', new Request(`${URL_OF_ROUTE}?${query}`, { method: 'POST', body: '{' })],
    ['a path', { method: 'post', url: `/graph?tenant=1&${query}#fragment`, headers: plain, body: {} }],
    ['a path without headers', { method: 'POST', url: `/graph?${query}` }],
    [
      'a path with the token encoded otherwise',
      { method: 'POST', url: `/?validationToken=${encodeURIComponent(TOKEN)}`, headers: plain },
    ],
  ])('as %s is answered with the decoded token as plain text', async (_, request) => {
    const notification = await parse(request)
    expect(notification).toEqual({
      kind: 'validation',
      response: {
        status: 200,
        headers: {
          'content-type': 'text/plain; charset=utf-8',
          'x-content-type-options': 'nosniff',
          'cache-control': 'no-store',
        },
        body: TOKEN,
      },
    })
    const { response } = notification
    const answer = new Response(response.body, response)
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
      200,
      'text/plain; charset=utf-8',
      TOKEN,
    ])
  })

  test('of 4,096 characters is answered', async () => {
    const { response } = await parse({ method: 'POST', url: `/?validationToken=${'x'.repeat(4096)}` })
    expect(response.body).toHaveLength(4096)
  })

  const cases: [name: string, query: string, unchecked: MutantName][] = [
    [
      'HTML',
      `validationToken=${encodeURIComponent('<script>alert(1)</script>')}`,
      'notification: HTML in the token',
    ],
    ['4,097 characters', `validationToken=${'x'.repeat(4097)}`, 'notification: token of any length'],
    ['a line break', 'validationToken=a%0d%0ab', 'request: control characters'],
    ['two tokens', 'validationToken=a&validationToken=b', 'request: parameters twice'],
  ]
  for (const [name, search, unchecked] of cases) {
    test(`with ${name} is refused, and with the check removed answered`, async () => {
      const request = { method: 'POST', url: `/graph?${search}` }
      expect(await refusal(parse(request))).toMatchObject({ status: 400 })
      expect(await (await brokenParse(unchecked))(request)).toMatchObject({
        kind: 'validation',
      })
    })
  }

  test('with an empty token is none', async () => {
    expect((await refusal(parse({ method: 'POST', url: '/?validationToken=' }))).status).toBe(400)
    expect(
      (await read({ ...post(about()), url: '/?validationToken=' } as CallbackRequest)).users,
    ).toHaveLength(1)
  })

  test.each(['GET', 'HEAD', 'PUT', 'OPTIONS', 'DELETE', ''])('by %j is refused', async (method) => {
    expect((await refusal(parse({ method, url: `/graph?${query}` }))).status).toBe(405)
  })
})

describe('a notification about a user', () => {
  const text = JSON.stringify({ value: [about()] })

  test.each<[string, CallbackRequest]>([
    ['a web Request', sent(text)],
    ['a parsed body', post(about())],
    ['text', { method: 'POST', url: '/', headers: new Headers(JSON_TYPE), body: text }],
    ['a Buffer', { method: 'POST', url: '/', body: Buffer.from(text) }],
    ['text of APPLICATION/JSON', sent(text, { 'content-type': 'APPLICATION/JSON' })],
  ])('as %s is read', async (_, request) => {
    const notification = await parse(request)
    expect(notification).toEqual({
      kind: 'notifications',
      users: [updated(ALICE)],
      lifecycle: [],
      ignored: 0,
      untrusted: 0,
      response: { status: 202, headers: { 'cache-control': 'no-store' } },
    })
    const { response } = notification
    const answer = new Response(response.body, response)
    expect([answer.status, await answer.text()]).toEqual([202, ''])
  })

  test.each([
    ['deleted for good', { changeType: 'deleted' }, { ...updated(ALICE), changeType: 'deleted' }],
    ['created', { changeType: 'created' }, { ...updated(ALICE), changeType: 'created' }],
    [
      'with ids in capitals',
      {
        tenantId: DIRECTORY.toUpperCase(),
        resource: `USERS/${ALICE.toUpperCase()}`,
        resourceData: { '@odata.type': '#MICROSOFT.GRAPH.USER', id: ALICE },
      },
      updated(ALICE),
    ],
    ['with a path from the root', { resource: `/users/${ALICE}`, resourceData: undefined }, updated(ALICE)],
    ['without resourceData', { resourceData: undefined }, updated(ALICE)],
    ['with resourceData null', { resourceData: null }, updated(ALICE)],
    ['without a type', { resourceData: { id: ALICE } }, updated(ALICE)],
    [
      'whose path has a name',
      {
        resource: 'users/alice@contoso.example',
        resourceData: { '@odata.type': '#microsoft.graph.user', id: ALICE },
      },
      updated(ALICE),
    ],
    ['with lifecycleEvent null', { lifecycleEvent: null }, updated(ALICE)],
    [
      'with encrypted content',
      { encryptedContent: { data: 'x', dataKey: 'y' }, validationTokens: ['not.a.token'] },
      updated(ALICE),
    ],
  ])('%s', async (_, changes, user) => {
    expect(await read(post(about(changes)))).toMatchObject({ users: [user], ignored: 0, untrusted: 0 })
  })

  test('several in one body, each user once for each change', async () => {
    const bob = userNotification(BOB, CLIENT_STATE)
    const { users } = await read(post(about(), bob, about(), bob, about({ changeType: 'deleted' })))
    expect(users).toEqual([updated(ALICE), updated(BOB), { ...updated(ALICE), changeType: 'deleted' }])
  })

  test('none in the body', async () => {
    expect(await read(post())).toMatchObject({ users: [], lifecycle: [], ignored: 0, untrusted: 0 })
  })
})

describe('ignored and counted', () => {
  const cases: [name: string, changes: Record<string, unknown>][] = [
    [
      'a group',
      { resource: `Groups/${ALICE}`, resourceData: { '@odata.type': '#Microsoft.Graph.Group', id: ALICE } },
    ],
    ['a group without a type', { resource: `Groups/${ALICE}`, resourceData: { id: ALICE } }],
    [
      'another type under the path of a user',
      { resourceData: { '@odata.type': '#Microsoft.Graph.Message' } },
    ],
    ['a type that is no text', { resourceData: { '@odata.type': null, id: ALICE } }],
    ['a message of the user', { resource: `Users/${ALICE}/Messages/AAMk`, resourceData: { id: ALICE } }],
    ['no resource', { resource: undefined, resourceData: undefined }],
    ['two users', { resourceData: { '@odata.type': '#Microsoft.Graph.User', id: BOB } }],
    ['an object id that is none', { resource: 'Users/alice', resourceData: { id: 'alice' } }],
    ['an object id with a line break', { resource: `Users/${ALICE}\n`, resourceData: undefined }],
    ['no tenant', { tenantId: undefined }],
    ['a tenant by name', { tenantId: 'contoso.onmicrosoft.com' }],
    ['a tenant that is an object', { tenantId: { id: DIRECTORY } }],
    ['no changeType', { changeType: undefined }],
    ['an unknown changeType', { changeType: 'restored' }],
    ['a changeType from the prototype', { changeType: 'constructor' }],
    ['an unknown lifecycleEvent', { lifecycleEvent: 'restored', changeType: undefined }],
  ]
  for (const [name, changes] of cases) {
    test(name, async () => {
      const notifications = await read(post(about(changes), userNotification(BOB, CLIENT_STATE)))
      expect(notifications).toMatchObject({ users: [updated(BOB)], lifecycle: [], ignored: 1, untrusted: 0 })
    })
  }

  test('an entry that is nothing of the kind is not believed at all', async () => {
    const nothing = [null, undefined, 7, 'x', [], {}, [about()], Object.create(about())]
    expect(await read(post(...nothing, about()))).toMatchObject({
      users: [updated(ALICE)],
      ignored: 0,
      untrusted: nothing.length,
    })
  })

  test('with the ids unchecked, what is no id would come out', async () => {
    const broken = await brokenParse('notification: any id')
    const { users } = await read(post(about({ tenantId: '../users' })), broken)
    expect(users).toMatchObject([{ tenantId: '../users' }])
  })

  test('with two ids accepted, one of them would come out', async () => {
    const broken = await brokenParse('notification: two users')
    const { users } = await read(post(about({ resourceData: { id: BOB } })), broken)
    expect(users).toHaveLength(1)
  })
})

describe('clientState', () => {
  const others: [name: string, clientState: unknown][] = [
    ['missing', undefined],
    ['null', null],
    ['empty', ''],
    ['another', 'Yk0N5cW1yJ6r9tQ2mVb8xEo4'],
    ['cut', CLIENT_STATE.slice(0, -1)],
    ['longer', `${CLIENT_STATE}x`],
    ['much longer', CLIENT_STATE.repeat(1000)],
    ['in other letters', CLIENT_STATE.toLowerCase()],
    ['with a space', ` ${CLIENT_STATE}`],
    ['in a list', [CLIENT_STATE]],
    ['an object', { toString: CLIENT_STATE }],
    ['a number', 7],
    ['true', true],
  ]
  for (const [name, clientState] of others) {
    test(`${name}: the entry is dropped and counted, and the others are read`, async () => {
      const forged = { ...userNotification(BOB, ''), clientState }
      const request = post(forged, about(), {
        ...lifecycleNotification('missed', SUBSCRIPTION, ''),
        clientState,
      })
      expect(await read(request)).toMatchObject({
        users: [updated(ALICE)],
        lifecycle: [],
        untrusted: 2,
        ignored: 0,
      })
      const believing = await brokenParse('notification: clientState not looked at')
      expect((await read(request, believing)).users).toEqual([updated(BOB), updated(ALICE)])
    })
  }

  test('compared by its digest, and nothing else', async () => {
    const broken = await brokenParse('notification: any clientState')
    expect((await read(post(userNotification(BOB, 'x'.repeat(128))), broken)).users).toEqual([updated(BOB)])
  })

  test.each([
    ['options', undefined],
    ['options', null],
    ['options', CLIENT_STATE],
    ['clientState', {}],
    ['clientState', { clientState: undefined }],
    ['clientState', { clientState: null }],
    ['clientState', { clientState: '' }],
    ['clientState', { clientState: 'secretClientValue' }],
    ['clientState', { clientState: 'x'.repeat(21) }],
    ['clientState', { clientState: 'x'.repeat(129) }],
    ['clientState', { clientState: [CLIENT_STATE] }],
    ['clientState', { clientState: `${CLIENT_STATE}\n` }],
    ['clientState', { clientState: `${CLIENT_STATE}é` }],
    ['clientSecret', { clientState: CLIENT_STATE, clientSecret: 'x' }],
  ])('%s is named when it is wrong, and not quoted (%#)', async (name, options) => {
    const error = await parseGraphNotification(post(), options as never).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ConfigurationError)
    expect((error as Error).message).toContain(name)
    expect(shown(error as Error)).not.toContain(CLIENT_STATE)
  })

  test.each([22, 128])('may have %i characters', async (length) => {
    const clientState = 'x'.repeat(length)
    const notification = await parseGraphNotification(post(userNotification(ALICE, clientState)), {
      clientState,
    })
    expect(notification).toMatchObject({ users: [updated(ALICE)] })
  })
})

describe('a lifecycle notification', () => {
  test.each(['reauthorizationRequired', 'subscriptionRemoved', 'missed'])('%s is returned', async (event) => {
    const entry = lifecycleNotification(event, SUBSCRIPTION.toUpperCase(), CLIENT_STATE)
    expect(await read(post(entry, about()))).toMatchObject({
      users: [updated(ALICE)],
      lifecycle: [{ lifecycleEvent: event, subscriptionId: SUBSCRIPTION, tenantId: DIRECTORY }],
      ignored: 0,
      untrusted: 0,
    })
  })

  test.each([
    ['of another kind', { lifecycleEvent: 'restored' }],
    ['without its subscription', { subscriptionId: undefined }],
    ['of a subscription that is a path', { subscriptionId: `${SUBSCRIPTION}/../x` }],
    ['without its tenant', { tenantId: undefined }],
  ])('%s is ignored and counted', async (_, changes) => {
    const entry = { ...lifecycleNotification('missed', SUBSCRIPTION, CLIENT_STATE), ...changes }
    expect(await read(post(entry))).toMatchObject({ lifecycle: [], ignored: 1, untrusted: 0 })
  })
})

describe('refused: 400', () => {
  test.each<[string, CallbackRequest]>([
    ['no body', { method: 'POST', url: '/', headers: JSON_TYPE }],
    ['an empty body', sent('')],
    ['a body that is no JSON', sent('{"value":')],
    ['a list', sent('[]')],
    ['null', sent('null')],
    ['text', sent('"value"')],
    ['a collection without value', sent('{}')],
    ['a value that is no list', sent('{"value":{"length":1}}')],
    ['a value of the prototype', sent('{"__proto__":{"value":[]}}')],
    ['a form', { method: 'POST', url: '/', body: new URLSearchParams({ value: '[]' }) }],
    ['brackets without end', sent('['.repeat(200_000))],
    ['another content type', sent('{"value":[]}', { 'content-type': 'text/plain' })],
    ['two content types', sent('{"value":[]}', { 'content-type': 'text/plain, application/json' })],
    ['no content type', { method: 'POST', url: '/', headers: {}, body: { value: [] } }],
    ['a URL of 64 KiB', { method: 'POST', url: `/?x=${'x'.repeat(64 * 1024)}`, body: { value: [] } }],
  ])('%s', async (_, request) => {
    expect((await refusal(parse(request))).status).toBe(400)
  })

  /** A collection of exactly this many bytes. */
  const ofSize = (size: number) => {
    const text = JSON.stringify({ value: [about()], padding: '' })
    return text.replace('"padding":""', `"padding":"${'x'.repeat(size - text.length)}"`)
  }

  test.each<[string, (text: string) => CallbackRequest]>([
    ['sent', sent],
    ['as text', (body) => ({ method: 'POST', url: '/', body })],
    ['as bytes', (body) => ({ method: 'POST', url: '/', body: Buffer.from(body) })],
  ])('more than 256 KiB, %s', async (_, request) => {
    expect((await read(request(ofSize(LONGEST_COLLECTION)))).users).toHaveLength(1)
    const longer = () => request(ofSize(LONGEST_COLLECTION + 1))
    expect((await refusal(parse(longer()))).status).toBe(400)
    const broken = await brokenParse('notification: collection of any size')
    expect((await read(longer(), broken)).users).toHaveLength(1)
  })

  test('more than 1,000 notifications', async () => {
    const many = (count: number) => post(...Array.from({ length: count }, () => about()))
    expect((await read(many(MOST_NOTIFICATIONS))).users).toHaveLength(1)
    expect((await refusal(parse(many(MOST_NOTIFICATIONS + 1)))).status).toBe(400)
    const broken = await brokenParse('notification: any number of entries')
    expect((await read(many(MOST_NOTIFICATIONS + 1), broken)).users).toHaveLength(1)
  })

  test('a refusal does not show what it refuses (P9)', async () => {
    for (const request of [
      sent(`{"value":"${CLIENT_STATE}"}`),
      sent(`${CLIENT_STATE}{`),
      { method: 'POST', url: `/?validationToken=<${CLIENT_STATE}` },
    ]) {
      const error = await refusal(parse(request))
      expect(shown(error)).not.toContain(CLIENT_STATE)
      expect(error.message.length).toBeLessThan(100)
    }
  })
})

test.each([[undefined], [null], [{}], ['POST /graph']])('%o is a programming error', async (request) => {
  await expect(parse(request as never)).rejects.toThrow(ConfigurationError)
})
