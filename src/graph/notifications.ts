import { createHash, timingSafeEqual } from 'node:crypto'
import { ConfigurationError, GraphNotificationError } from '../errors.ts'
import { checkOptions, guidOf } from '../guards.ts'
import { BadRequestError, type CallbackRequest, onlyValue, receive } from '../logout/request.ts'

/** Whose notifications {@link parseGraphNotification} believes. */
export interface GraphNotificationOptions {
  /**
   * The `clientState` that the subscription was created with: 22 to 128 characters of printable ASCII. It is all that
   * tells Graph's notifications from anybody else's, so make it of random bytes, such as
   * `randomBytes(32).toString('base64url')`, and keep it secret.
   */
  clientState: string
}

/** A user of a directory that has changed. Ids are GUIDs in lower case. */
export interface GraphUserChange {
  tenantId: string
  objectId: string
  /**
   * `deleted` is final. An administrator's deletion, which can be undone for 30 days, arrives as `updated`, like a
   * disabled account or a new telephone number.
   */
  changeType: 'created' | 'updated' | 'deleted'
}

/** Something that a subscription needs. Ids are GUIDs in lower case. */
export interface GraphLifecycleEvent {
  /**
   * `reauthorizationRequired`: renew the subscription. `subscriptionRemoved`: create it again. `missed`: changes were
   * not delivered, so read all users.
   */
  lifecycleEvent: 'reauthorizationRequired' | 'subscriptionRemoved' | 'missed'
  subscriptionId: string
  tenantId: string
}

/** What to answer. `new Response(r.body, r)` and `res.status(r.status).set(r.headers).send(r.body)` both work. */
export interface GraphResponse {
  status: 200 | 202
  headers: Record<string, string>
  body?: string
}

/** Graph asks whether somebody expects its notifications here, when a subscription is created. */
export interface GraphValidation {
  kind: 'validation'
  /** 200, and the token that Graph sent, as plain text. */
  response: GraphResponse
}

/** Graph reports changes: its `changeNotificationCollection`. */
export interface GraphNotificationCollection {
  kind: 'notifications'
  /** Who has changed, each user once for each `changeType`. */
  users: GraphUserChange[]
  lifecycle: GraphLifecycleEvent[]
  /** How many entries were believed and not used: about another resource, of an unknown kind, or malformed. */
  ignored: number
  /** How many entries were dropped because their `clientState` is missing or wrong. */
  untrusted: number
  /** 202. Answer it once the changes are carried out, or stored: Graph does not send them again. */
  response: GraphResponse
}

/** What arrived at the URL for Microsoft Graph's change notifications. */
export type GraphNotification = GraphValidation | GraphNotificationCollection

/**
 * The longest body, in bytes: a notification about a user has about 600. Anybody can send one, and the worst JSON of
 * this length takes up to a tenth of a second to parse; of four times the length, half a second.
 */
export const LONGEST_COLLECTION = 256 * 1024
/** The longest validation token, in characters: Graph's have about 120. */
const LONGEST_TOKEN = 4096
/** The most notifications in one body. */
export const MOST_NOTIFICATIONS = 1000

const CHANGE_TYPES = ['created', 'updated', 'deleted'] as const
const LIFECYCLE_EVENTS = ['reauthorizationRequired', 'subscriptionRemoved', 'missed'] as const

/** At least 128 random bits in base64url, at most what Graph takes. */
const CLIENT_STATE = /^[\x20-\x7e]{22,128}$/
const LONGEST_CLIENT_STATE = 128
const USER_PATH = /^\/?users\/([^/]+)$/i
const USER_TYPE = '#microsoft.graph.user'

/**
 * Reads a request that Microsoft Graph sends to the `notificationUrl` or `lifecycleNotificationUrl` of a subscription
 * to users: a validation request, or change notifications. It evicts nobody and keeps nothing.
 *
 * An entry is believed only if it carries `clientState`. Others are dropped and counted rather than refused, since one
 * body may hold notifications of several subscriptions. Only ids are read: encrypted content and `validationTokens`,
 * which come with `includeResourceData`, are ignored. Notifications may arrive twice, late, and in any order.
 * @throws {GraphNotificationError} with the status to answer, when the request is neither, is longer than 256 KiB, or
 * holds more than 1,000 notifications
 * @throws {ConfigurationError} naming the option, or when the request's body was read before
 *
 * @example
 * ```ts
 * app.post('/graph-notifications', async (req, res) => {
 *   const notification = await parseGraphNotification(req, { clientState })
 *   if (notification.kind === 'notifications') {
 *     for (const { tenantId, objectId } of notification.users) await plugin.evictDirectoryUser(tenantId, objectId)
 *   }
 *   const { status, headers, body } = notification.response
 *   res.status(status).set(headers).send(body)
 * })
 * ```
 */
export async function parseGraphNotification(
  request: CallbackRequest,
  options: GraphNotificationOptions,
): Promise<GraphNotification> {
  const expected = digestOf(checkClientState(options))
  const { method, readQuery, readJson } = receive(request)
  try {
    if (method !== 'POST') throw new GraphNotificationError('a Graph notification is a POST', 405)
    const token = onlyValue(readQuery(), 'validationToken', LONGEST_TOKEN)
    if (token !== undefined) return validationOf(token)
    return notificationsOf(await readJson(LONGEST_COLLECTION), expected)
  } catch (error) {
    throw error instanceof BadRequestError ? new GraphNotificationError(error.message) : error
  }
}

/** @throws {ConfigurationError} naming the option */
function checkClientState(options: GraphNotificationOptions): string {
  checkOptions(options, ['clientState'], 'options must be an object with clientState')
  const { clientState } = options
  if (typeof clientState !== 'string' || !CLIENT_STATE.test(clientState)) {
    throw new ConfigurationError(
      'clientState must be the secret of the subscription: 22 to 128 characters of printable ASCII',
    )
  }
  return clientState
}

function validationOf(token: string): GraphValidation {
  // Graph's tokens have neither. A host that answers the body alone would send it as HTML.
  if (/[<>]/.test(token)) throw new BadRequestError('validationToken must not contain < or >')
  const headers = {
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  }
  return { kind: 'validation', response: { status: 200, headers, body: token } }
}

function notificationsOf(body: unknown, expected: Buffer): GraphNotificationCollection {
  const entries = memberOf(body, 'value')
  if (!Array.isArray(entries)) throw new BadRequestError('the body is not a collection of notifications')
  if (entries.length > MOST_NOTIFICATIONS) {
    throw new BadRequestError(`the body holds more than ${MOST_NOTIFICATIONS} notifications`)
  }
  const trusted = entries.filter((entry) => isExpected(memberOf(entry, 'clientState'), expected))
  const users = new Map<string, GraphUserChange>()
  const lifecycle: GraphLifecycleEvent[] = []
  let ignored = 0
  for (const entry of trusted) {
    const event = lifecycleEventOf(entry)
    const change = userChangeOf(entry)
    if (event !== undefined) lifecycle.push(event)
    else if (change !== undefined) users.set(nameOf(change), change)
    else ignored++
  }
  return {
    kind: 'notifications',
    users: [...users.values()],
    lifecycle,
    ignored,
    untrusted: entries.length - trusted.length,
    response: { status: 202, headers: { 'cache-control': 'no-store' } },
  }
}

function nameOf({ tenantId, objectId, changeType }: GraphUserChange): string {
  return `${tenantId} ${objectId} ${changeType}`
}

/** In a time that does not depend on where the two differ. */
function isExpected(clientState: unknown, expected: Buffer): boolean {
  return (
    typeof clientState === 'string' &&
    clientState.length <= LONGEST_CLIENT_STATE &&
    timingSafeEqual(digestOf(clientState), expected)
  )
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function lifecycleEventOf(entry: unknown): GraphLifecycleEvent | undefined {
  const name = memberOf(entry, 'lifecycleEvent')
  const lifecycleEvent = LIFECYCLE_EVENTS.find((it) => it === name)
  const subscriptionId = guidOf(memberOf(entry, 'subscriptionId'))
  const tenantId = guidOf(memberOf(entry, 'tenantId'))
  if (lifecycleEvent === undefined || subscriptionId === undefined || tenantId === undefined) return undefined
  return { lifecycleEvent, subscriptionId, tenantId }
}

function userChangeOf(entry: unknown): GraphUserChange | undefined {
  const name = memberOf(entry, 'changeType')
  const changeType = CHANGE_TYPES.find((it) => it === name)
  const tenantId = guidOf(memberOf(entry, 'tenantId'))
  const objectId = userIdOf(memberOf(entry, 'resource'), memberOf(entry, 'resourceData'))
  if (changeType === undefined || tenantId === undefined || objectId === undefined) return undefined
  return { tenantId, objectId, changeType }
}

/** From the path of the resource, its data, or both, which must then agree. */
function userIdOf(resource: unknown, data: unknown): string | undefined {
  const [, inPath] = (typeof resource === 'string' ? USER_PATH.exec(resource) : undefined) ?? []
  const type = memberOf(data, '@odata.type')
  const isUser = type === undefined ? inPath !== undefined : isUserType(type)
  const [id, ...others] = new Set([inPath, memberOf(data, 'id')].flatMap((it) => guidOf(it) ?? []))
  return isUser && others.length === 0 ? id : undefined
}

function isUserType(type: unknown): boolean {
  return typeof type === 'string' && type.toLowerCase() === USER_TYPE
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Record<string, unknown>)[name]
}
