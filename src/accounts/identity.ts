import { guidOf, isText } from '../guards.ts'

/** An account: MSAL's home account id, or anything that has one, such as MSAL's `AccountInfo`. */
export type AccountRef = string | { homeAccountId: string }

/**
 * What a host keeps in its own session after a sign-in. It holds no secret, so it fits a session cookie, but the
 * cookie must be signed: who can forge one is signed in.
 */
export interface HostSession {
  /** MSAL's home account id. */
  homeAccountId: string
  /** The generation of the sign-in: an eviction ends it, and with it this session. */
  generation: string
  /** The provider's session: the ID token's `sid`, or the authorization response's `session_state`. */
  sid?: string | undefined
  /** Tells it from others that began in the same session of the provider, when one of those is ended. */
  id?: string | undefined
}

/** An account, and the one generation and session of it that may be shown if the host knows them. */
export interface SignInRef {
  readonly homeAccountId: string
  readonly generation?: string | undefined
  readonly sid?: string | undefined
  readonly id?: string | undefined
}

const LONGEST_ID = 1024
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/

/** @throws {TypeError} naming what is wrong, without quoting the id (P9) */
export function signInRef(account: HostSession | AccountRef): SignInRef {
  if (typeof account === 'string') return { homeAccountId: checkHomeAccountId(account) }
  if (typeof account !== 'object' || account === null) {
    throw new TypeError(
      'account must be the session that acquireTokenByCode returned, or a home account id: if nobody is signed in ' +
        'here, begin a sign-in',
    )
  }
  const { homeAccountId, generation, sid, id } = account as Partial<HostSession>
  if (generation !== undefined && !isText(generation)) {
    throw new TypeError('generation must be a non-empty string: pass on what openSession returned')
  }
  // A session's name means something beside the generation only: MSAL's accounts may have a claim of that name.
  if (generation === undefined) return { homeAccountId: checkHomeAccountId(homeAccountId) }
  checkOptionalText('sid', sid)
  checkOptionalText('id', id)
  return { homeAccountId: checkHomeAccountId(homeAccountId), generation, sid, id }
}

function checkOptionalText(name: string, value: unknown): void {
  if (value === undefined || typeof value === 'string') return
  throw new TypeError(`${name} must be a string: pass on what openSession returned`)
}

/**
 * Home account ids are opaque: `uid.utid` with Entra ID, a plain `sub` with any other OpenID provider.
 * @throws {TypeError} naming what is wrong, without quoting the id (P9)
 */
export function checkHomeAccountId(id: unknown): string {
  if (typeof id !== 'string') throw new TypeError('homeAccountId must be a string')
  if (id === '') throw new TypeError('homeAccountId must not be empty')
  if (id.length > LONGEST_ID) throw new TypeError(`homeAccountId must have at most ${LONGEST_ID} characters`)
  if (CONTROL_CHARACTER.test(id)) throw new TypeError('homeAccountId must not contain control characters')
  if (id.trim() !== id) throw new TypeError('homeAccountId must not begin or end with white space')
  return id
}

/**
 * A directory's or a directory user's id as it is compared, in lower case.
 * @throws {TypeError} naming the parameter, without quoting it (P9)
 */
export function checkDirectoryId(name: string, value: unknown): string {
  const id = guidOf(value)
  if (id === undefined) throw new TypeError(`${name} must be a GUID, as Entra ID writes its ids`)
  return id
}
