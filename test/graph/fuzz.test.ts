import { Readable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { GraphNotificationError } from '../../src/errors.ts'
import { type GraphNotification, parseGraphNotification } from '../../src/graph/notifications.ts'
import { shown } from '../logout/outcome.ts'
import { anyRequest, type MakeRequest } from '../support/any-request.ts'
import { lifecycleNotification, userNotification } from '../support/graph-notifications.ts'
import { length } from '../support/length.ts'
import { mutant } from '../support/mutant.ts'
import type { MutantName } from '../support/mutants.ts'

const RUNS = length({ short: 1_000, long: 300_000 })
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const CLIENT_STATE = 'Yk0N5cW1yJ6r9tQ2mVb8xEo3'

/** Ids in genuine entries about users or subscriptions, and ids in all others: the latter must never come out. */
const idsOf = (mark: string) =>
  Array.from({ length: 8 }, (_, i) => `0a${i}b0c0d-${mark}${mark}${mark}${mark}-4000-8000-0000000000${i}f`)
const GENUINE = idsOf('a')
const OTHER = idsOf('b')

const genuineId = fc.constantFrom(...GENUINE)
const otherId = fc.constantFrom(...OTHER)
const changeType = fc.constantFrom('created', 'updated', 'deleted')
const event = fc.constantFrom('reauthorizationRequired', 'subscriptionRemoved', 'missed')
const inAnyCase = (text: string) => fc.constantFrom(text, text.toUpperCase())

/** More than one edit away from the right one, so that no mutation of a text makes it right. */
const wrongState = fc.oneof(
  fc.constantFrom(
    CLIENT_STATE.slice(7),
    CLIENT_STATE.slice(0, -7),
    CLIENT_STATE.repeat(2),
    CLIENT_STATE.toLowerCase(),
    `${CLIENT_STATE}${' '.repeat(7)}`,
    '',
    'x'.repeat(300),
  ),
  fc.constantFrom(undefined, null, 7, true, [CLIENT_STATE], { clientState: CLIENT_STATE }),
)

const genuineUser = fc
  .tuple(genuineId.chain(inAnyCase), changeType, fc.boolean())
  .map(([id, type, hasData]) =>
    userNotification(id, CLIENT_STATE, { changeType: type, ...(hasData ? {} : { resourceData: undefined }) }),
  )
const genuineLifecycle = fc
  .tuple(event, genuineId)
  .map(([name, id]) => lifecycleNotification(name, id, CLIENT_STATE))
const anyPlace = fc.constantFrom('clientState', 'resource', 'resourceData', 'tenantId', 'changeType')
const notBelieved = fc.oneof(
  fc.tuple(otherId, wrongState).map(([id, clientState]) => ({ ...userNotification(id, ''), clientState })),
  fc
    .tuple(event, otherId, wrongState)
    .map(([name, id, clientState]) => ({ ...lifecycleNotification(name, id, ''), clientState })),
  otherId.map((id) => JSON.parse(`{"__proto__":${JSON.stringify(userNotification(id, CLIENT_STATE))}}`)),
  otherId.map((id) => Object.create(userNotification(id, CLIENT_STATE))),
  otherId.map((id) => ({ ...userNotification(id, ''), resourceData: { id, clientState: CLIENT_STATE } })),
)
const notUnderstood = fc.oneof(
  otherId.map((id) => userNotification(id, CLIENT_STATE, { resource: `Groups/${id}`, resourceData: { id } })),
  otherId.map((id) =>
    userNotification(id, CLIENT_STATE, { resource: `Users/${id}/Messages/${id}`, resourceData: { id } }),
  ),
  otherId.map((id) => userNotification(id, CLIENT_STATE, { resource: `Users/${GENUINE[0]}` })),
  otherId.map((id) => userNotification(id, CLIENT_STATE, { tenantId: 'contoso' })),
  otherId.map((id) => lifecycleNotification('other', id, CLIENT_STATE)),
)
const damaged = fc
  .tuple(genuineUser, anyPlace, fc.jsonValue())
  .map(([entry, place, value]) => ({ ...entry, [place]: value }))
const anyEntry = fc.oneof(
  { weight: 4, arbitrary: fc.oneof(genuineUser, genuineLifecycle) },
  { weight: 3, arbitrary: notBelieved },
  { weight: 2, arbitrary: notUnderstood },
  { weight: 1, arbitrary: fc.oneof(damaged, fc.jsonValue()) },
)
const collection = fc.record({ value: fc.array(anyEntry, { maxLength: 8 }) })
/** Without entries that are refused for what a mutation may mend. */
const toMutate = fc.record({ value: fc.array(fc.oneof(genuineUser, genuineLifecycle, notBelieved)) })
const anyJson = fc.oneof(
  { weight: 4, arbitrary: collection },
  { weight: 1, arbitrary: fc.oneof(fc.jsonValue(), fc.record({ value: fc.jsonValue() })) },
)
const anyText = fc.oneof(
  { weight: 4, arbitrary: anyJson.map((it) => JSON.stringify(it)) },
  { weight: 2, arbitrary: fc.tuple(toMutate, fc.nat(), fc.nat(), fc.string()).map((it) => mutated(...it)) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  { weight: 1, arbitrary: fc.nat(200_000).map((depth) => '['.repeat(depth)) },
)

function mutated(body: object, at: number, kind: number, text: string): string {
  const json = JSON.stringify(body)
  const place = at % (json.length + 1)
  const mutations = [
    () => json.slice(0, place) + text + json.slice(place),
    () => json.slice(0, place) + json.slice(place + 1 + (kind % 5)),
    () => json.slice(0, place) + String.fromCharCode(33 + (kind % 94)) + json.slice(place + 1),
    () => json.slice(0, place),
    () => json + text,
  ]
  return mutations[kind % mutations.length]?.() ?? json
}

const anyToken = fc.oneof(
  fc.constantFrom('Validation: Testing. Request-Id: 1', '<b>', 'a\r\nb', 'x'.repeat(4097), CLIENT_STATE),
  fc.string({ unit: 'binary' }),
)
const anyUrl = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('/graph', '/graph?tenant=1', 'https://rp.example/graph') },
  { weight: 2, arbitrary: anyToken.map((token) => `/?${new URLSearchParams({ validationToken: token })}`) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }).map((text) => `/?validationToken=${text}`) },
)
const anyMethod = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('POST', 'post') },
  { weight: 1, arbitrary: fc.oneof(fc.constantFrom('GET', 'PUT', 'HEAD'), fc.string()) },
)
const anyHeaders = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ 'content-type': 'application/json; charset=utf-8' }) },
  { weight: 1, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.dictionary(fc.string(), fc.anything()) },
  { weight: 1, arbitrary: fc.record({ 'Content-Type': fc.anything() }) },
)
const anyChunks = fc.oneof(
  anyText.map((text) => [text.slice(0, 10), text.slice(10)].map((it) => Buffer.from(it))),
  fc.array(fc.uint8Array({ maxLength: 100 })),
  fc.nat(100).map((count) => Array.from({ length: count * 4 }, () => Buffer.alloc(1024, ' '))),
)
const anyBody = fc.oneof(
  { weight: 3, arbitrary: anyJson },
  { weight: 2, arbitrary: anyText },
  { weight: 1, arbitrary: anyText.map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: anyChunks.map((chunks) => Readable.toWeb(Readable.from(chunks))) },
  { weight: 1, arbitrary: fc.anything({ withNullPrototype: true, withBigInt: true, withMap: true }) },
  { weight: 1, arbitrary: fc.record({ value: fc.array(fc.anything()) }) },
)

const anyObject = anyRequest({
  method: anyMethod,
  url: anyUrl,
  headers: anyHeaders,
  body: anyBody,
  chunks: anyChunks,
})
const web = fc.record({ url: anyUrl, body: anyText }).map(
  ({ url, body }): MakeRequest =>
    () => {
      const headers = { 'content-type': 'application/json' }
      return new Request(new URL(url, 'https://rp.example'), { method: 'POST', headers, body })
    },
)

type Parse = typeof parseGraphNotification
type Kind = GraphNotification['kind'] | 'refused'

/** Something that nobody genuine has sent was let through, or reflected. */
class Forged extends Error {}

function judge(outcome: GraphNotification | Error): Kind {
  if (outcome instanceof Error) {
    expect(outcome.name).toBe(GraphNotificationError.name)
    expect(outcome).toMatchObject({ code: 'ERR_GRAPH_NOTIFICATION' })
    expect([400, 405]).toContain((outcome as { status?: number }).status)
    expect(outcome.message.length).toBeLessThan(100)
    expect(shown(outcome)).not.toContain(CLIENT_STATE)
    return 'refused'
  }
  if (outcome.kind === 'validation') {
    const { status, headers, body = '' } = outcome.response
    expect([status, headers['content-type'], headers['x-content-type-options']]).toEqual([
      200,
      'text/plain; charset=utf-8',
      'nosniff',
    ])
    if (/[<>\p{Cc}]/u.test(body) || body.length > 4096 || body === '') throw new Forged()
    return outcome.kind
  }
  const named = [
    ...outcome.users.map((it) => it.objectId),
    ...outcome.lifecycle.map((it) => it.subscriptionId),
  ]
  if (named.some((id) => OTHER.includes(id))) throw new Forged()
  const tenants = [...outcome.users, ...outcome.lifecycle].map((it) => it.tenantId)
  expect([...named, ...tenants].every((id) => GUID.test(id))).toBe(true)
  expect(outcome.response.status).toBe(202)
  return outcome.kind
}

async function fuzz(runs: number, parse: Parse): Promise<Map<Kind, number>> {
  const counts = new Map<Kind, number>()
  const property = fc.asyncProperty(fc.oneof({ weight: 2, arbitrary: anyObject }, web), async (make) => {
    const outcome = await parse(make(), { clientState: CLIENT_STATE }).catch(
      (error: unknown) => error as Error,
    )
    const kind = judge(outcome)
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  })
  await fc.assert(property, { numRuns: runs })
  return counts
}

test(
  `whatever arrives, the outcome is typed: ${RUNS} requests (P11)`,
  async () => {
    const counts = await fuzz(RUNS, parseGraphNotification)
    for (const kind of ['validation', 'notifications', 'refused'] as const) {
      expect(counts.get(kind), kind).toBeGreaterThan(0)
    }
  },
  60_000 + 5 * RUNS,
)

test(
  'what is genuine comes out, whatever is beside it, and each entry is counted once',
  async () => {
    const others = fc.array(fc.oneof(notBelieved, notUnderstood))
    const property = fc.asyncProperty(
      fc.array(genuineUser),
      fc.array(genuineLifecycle),
      others,
      fc.nat(),
      async (users, lifecycle, rest, seed) => {
        const value = shuffled([...users, ...lifecycle, ...rest], seed)
        const body = JSON.stringify({ value })
        const request = { method: 'POST', url: '/', body }
        const read = await parseGraphNotification(request, { clientState: CLIENT_STATE })
        if (read.kind !== 'notifications') throw new Forged()
        const nameOf = (id: unknown, type: unknown) => `${String(id).toLowerCase()} ${String(type)}`
        const expected = users.map((it) => nameOf(String(it.resource).split('/')[1], it.changeType))
        expect(new Set(read.users.map((it) => nameOf(it.objectId, it.changeType)))).toEqual(new Set(expected))
        expect(read.users).toHaveLength(new Set(expected).size)
        expect(read.lifecycle).toHaveLength(lifecycle.length)
        expect(read.ignored + read.untrusted).toBe(rest.length)
      },
    )
    await fc.assert(property, { numRuns: Math.ceil(RUNS / 4) })
  },
  60_000 + 5 * RUNS,
)

function shuffled<Item>(items: readonly Item[], seed: number): Item[] {
  const rank = (at: number) => ((at + 1) * (seed % 9973)) % 101
  return items
    .map((item, at) => ({ item, rank: rank(at) }))
    .toSorted((a, b) => a.rank - b.rank)
    .map((it) => it.item)
}

test('what is not typed, or forged, would be found', async () => {
  const broken = async (name: MutantName): Promise<Parse> =>
    (await mutant<{ parseGraphNotification: Parse }>(name, 'parseGraphNotification')).parseGraphNotification
  await expect(fuzz(1000, await broken('notification: errors untyped'))).rejects.toThrow('Property failed')
  for (const name of [
    'notification: any clientState',
    'notification: members of the prototype',
    'notification: any resource',
    'notification: HTML in the token',
  ] as const) {
    const found = fuzz(2000, await broken(name))
    await expect(found, name).rejects.toHaveProperty('cause', expect.any(Forged))
  }
})
