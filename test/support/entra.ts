import { createHash, randomBytes } from 'node:crypto'
import {
  type AccountInfo,
  type AuthenticationResult,
  ConfidentialClientApplication,
  type Configuration,
  type ICachePlugin,
  type INetworkModule,
  type NetworkRequestOptions,
  type NetworkResponse,
  ProtocolMode,
} from '@azure/msal-node'
import type { ConfidentialClients, SignedIn } from '../../src/index.ts'
import {
  baseOf,
  type Discovery,
  discoveryOf,
  instanceDiscovery,
  issuerOf,
  placeOf,
  policyOf,
  TENANT_ID,
  tenantAt,
} from './services.ts'

export { TENANT_ID } from './services.ts'

export const CLIENT_ID = 'c11e4713-0000-4000-8000-00000000c1d0'
export const SCOPES = ['User.Read']

export type Flavour = 'entra' | 'b2c' | 'ciam' | 'adfs' | 'oidc'
export type Grant = 'authorization_code' | 'refresh_token' | 'client_credentials' | 'on_behalf_of'
export type TokenKind = 'access_token' | 'refresh_token' | 'id_token'

export interface User {
  readonly uid: string
  readonly utid: string
  /** The tenant signed in to: a guest's differs from `utid`. */
  readonly tid: string
  readonly oid: string
  readonly sub: string
  readonly name: string
  readonly username: string
  readonly sid: string | null
  /** As MSAL computes it: `uid.utid`, or the plain `sub` in the oidc flavour. */
  readonly homeAccountId: string
}

export interface IssuedToken {
  readonly token: string
  readonly kind: TokenKind
  /** Empty for an app token. */
  readonly homeAccountId: string
  /** Born with an authorization code (or an assertion), inherited by refreshes; 0 for an app token. */
  readonly chain: number
}

export interface TokenRequest {
  readonly grant: Grant
  readonly url: URL
  readonly parameters: URLSearchParams
  readonly homeAccountId: string
  readonly chain: number
}

export interface Answer {
  omit?: readonly ('access_token' | 'id_token' | 'client_info' | 'refresh_token' | 'scope')[]
  /** Of the access token, in seconds. MSAL renews 300 seconds ahead, so less than 300 is expired at birth. */
  lifetime?: number
  /** Seconds until MSAL is to refresh ahead of time (`refresh_in`). */
  refreshIn?: number
  /** An OAuth error code, answered with status 400. */
  error?: string
  /** The tenant that the tokens are of, where neither the user nor the authority says so. */
  tid?: string
  /** Claims of the ID token, over its own; an undefined one is left out. */
  idToken?: Record<string, unknown>
  /** What is answered as `client_info`, over the user's own. */
  clientInfo?: { uid: string; utid: string }
  /** What Entra ID demands with an error: a claims challenge. */
  claims?: string
  suberror?: string
}

export interface Held {
  /** Resolves when the request has arrived. */
  readonly arrived: Promise<TokenRequest>
  /** Lets the request be answered. */
  release(): void
}

interface Chain {
  readonly id: number
  readonly user: User
  /** Where it began: a refresh token is refused elsewhere. */
  place?: string
  readonly nonce?: string
  /** Of PKCE, S256. */
  readonly challenge?: string
}

interface Hold {
  readonly matches: (request: TokenRequest) => boolean
  readonly arrive: (request: TokenRequest) => void
  readonly released: Promise<void>
}

type Configure = { [Section in keyof Configuration]?: Partial<Configuration[Section]> }

const AUTHORITIES: Record<Flavour, string> = {
  entra: `https://login.microsoftonline.com/${TENANT_ID}`,
  b2c: 'https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_signin',
  ciam: `https://contoso.ciamlogin.com/${TENANT_ID}`,
  adfs: 'https://fs.contoso.example/adfs',
  oidc: 'https://idp.example',
}

const GRANTS: Record<string, Grant> = {
  authorization_code: 'authorization_code',
  refresh_token: 'refresh_token',
  client_credentials: 'client_credentials',
  'urn:ietf:params:oauth:grant-type:jwt-bearer': 'on_behalf_of',
}

/** What such tokens weigh in the field. */
const SIZES: Record<TokenKind, number> = { access_token: 1800, refresh_token: 1000, id_token: 1000 }

/**
 * A stand-in for the identity provider: MSAL's own network module, so MSAL runs as it does in production.
 * It uses no timers: a request is answered in the turn in which it arrives, or when a test releases it.
 */
export class EntraStandIn implements INetworkModule {
  readonly flavour: Flavour
  readonly authority: string
  readonly tokenRequests: Record<Grant, number> = {
    authorization_code: 0,
    refresh_token: 0,
    client_credentials: 0,
    on_behalf_of: 0,
  }
  discoveryRequests = 0
  /** The realms whose discovery documents name another issuer than they have. */
  readonly issuers: Record<string, string> = {}
  /** How each grant is answered from now on. */
  readonly answers: { [G in Grant]?: Answer | ((request: TokenRequest) => Answer) } = {}

  readonly #sizes: Record<TokenKind, number>
  readonly #codes = new Map<string, Chain>()
  readonly #chains = new Map<number, Chain>()
  readonly #issued = new Map<string, IssuedToken>()
  readonly #holds: Hold[] = []
  #users = 0

  constructor(options: { flavour?: Flavour; authority?: string; size?: 'realistic' | 'small' } = {}) {
    this.flavour = options.flavour ?? 'entra'
    this.authority = options.authority ?? AUTHORITIES[this.flavour]
    this.#sizes = options.size === 'small' ? { access_token: 0, refresh_token: 0, id_token: 0 } : SIZES
  }

  /** A person; whatever is left out is made up, different for each. */
  user(of: Partial<Omit<User, 'homeAccountId'>> = {}): User {
    const n = ++this.#users
    const guid = `${String(n).padStart(8, '0')}-0000-4000-8000-00000000a1d0`
    const name = of.name ?? `user ${n}`
    const uid =
      of.uid ??
      { entra: guid, ciam: guid, b2c: `${guid}-${policyOf(this.authority)}`, adfs: guid, oidc: `user-${n}` }[
        this.flavour
      ]
    const utid = of.utid ?? TENANT_ID
    const tid = of.tid ?? utid
    const sub = this.#namesNobody ? uid : hash(`${uid} ${tid} ${CLIENT_ID}`)
    return {
      uid,
      utid,
      tid,
      oid: of.oid ?? (tid === utid ? uid : hash(`${uid} ${tid}`)),
      sub: of.sub ?? sub,
      name,
      username: of.username ?? `${name.replaceAll(' ', '.')}@contoso.example`,
      sid: of.sid === undefined ? hash(`sid ${n}`) : of.sid,
      homeAccountId: this.#namesNobody ? (of.sub ?? sub) : `${uid}.${utid}`,
    }
  }

  /** A fresh authorization code, good for one redemption: a new sign-in chain. */
  code(user: User, options: { nonce?: string; challenge?: string } = {}): string {
    const code = `code-${randomBytes(16).toString('base64url')}`
    this.#codes.set(code, this.#begin(user, options))
    return code
  }

  /** The user signs in at the URL of an authorization request. Returns the parameters of the response. */
  authorize(url: string, user: User): { code: string; state: string; session_state: string } {
    const parameters = new URL(url).searchParams
    const [nonce, challenge] = [
      parameters.get('nonce') ?? undefined,
      parameters.get('code_challenge') ?? undefined,
    ]
    const code = this.code(user, {
      ...(nonce === undefined ? {} : { nonce }),
      ...(challenge === undefined ? {} : { challenge }),
    })
    return {
      code,
      state: parameters.get('state') ?? '',
      session_state: user.sid ?? hash(`session ${user.uid}`),
    }
  }

  /**
   * An access token as a client of ours would present it to us, for the on-behalf-of grant: a new chain.
   * @param claims over its own; an undefined one is left out
   */
  assertion(user: User, claims: Record<string, unknown> = {}): string {
    return this.#accessToken(this.#begin(user), CLIENT_ID, claims)
  }

  /** Holds back the answer to the next token request that matches. */
  hold(matches: (request: TokenRequest) => boolean = () => true): Held {
    const arrived = deferred<TokenRequest>()
    const released = deferred<void>()
    this.#holds.push({ matches, arrive: arrived.resolve, released: released.promise })
    return { arrived: arrived.promise, release: () => released.resolve() }
  }

  ownerOf(token: string): IssuedToken | undefined {
    return this.#issued.get(token)
  }

  /** Every token ever issued to that account, in that chain, or to anybody. */
  secretsOf(owner: { homeAccountId?: string; chain?: number } = {}): string[] {
    return [...this.#issued.values()]
      .filter((issued) => issued.homeAccountId === (owner.homeAccountId ?? issued.homeAccountId))
      .filter((issued) => issued.chain === (owner.chain ?? issued.chain))
      .map((issued) => issued.token)
  }

  /** Which of all tokens ever issued occur in a text, such as a stored record. */
  tokensIn(text: string): IssuedToken[] {
    return [...this.#issued.values()].filter((issued) => text.includes(issued.token))
  }

  /** The `iss` of an ID token. */
  issuerFor(tid: string, authority: string = this.authority): string {
    return issuerOf(this.flavour, authority, tid)
  }

  /** The discovery document of an authority, whose URL ends in no slash. */
  discovery(authority: string): Discovery {
    const document = discoveryOf(this.flavour, authority)
    return { ...document, issuer: this.issuers[authority] ?? document.issuer }
  }

  /** As its documentation has it, with no host as known that a user would not list. */
  configuration(cachePlugin?: ICachePlugin, overrides: Configure = {}): Configuration {
    const { host } = new URL(this.authority)
    const isKnown = this.flavour === 'entra' || host.endsWith('.ciamlogin.com')
    return {
      auth: {
        clientId: CLIENT_ID,
        clientSecret: 'not a secret',
        authority: this.authority,
        ...(isKnown ? {} : { knownAuthorities: [host] }),
        ...overrides.auth,
      },
      cache: { ...(cachePlugin ? { cachePlugin } : {}), ...overrides.cache },
      system: {
        networkClient: this,
        protocolMode: this.flavour === 'oidc' ? ProtocolMode.OIDC : ProtocolMode.AAD,
        ...overrides.system,
      },
    }
  }

  client(cachePlugin?: ICachePlugin, overrides?: Configure): ConfidentialClientApplication {
    return new ConfidentialClientApplication(this.configuration(cachePlugin, overrides))
  }

  signIn(
    client: ConfidentialClientApplication,
    user: User,
    scopes: string[] = SCOPES,
  ): Promise<AuthenticationResult> {
    const redirectUri = 'https://app.example/callback'
    return client.acquireTokenByCode({ code: this.code(user), redirectUri, scopes })
  }

  /** Signs a user in through a host's `ConfidentialClients`. The response names a session only if one is given. */
  async enter(
    msal: ConfidentialClients,
    user: User,
    { sessionState, scopes = SCOPES }: { sessionState?: string | undefined; scopes?: string[] } = {},
  ): Promise<SignedIn> {
    const redirectUri = 'https://app.example/callback'
    const { url, pending } = await msal.beginSignIn({ scopes, redirectUri })
    const { code, state } = this.authorize(url, user)
    return msal.completeSignIn(pending, { code, state, session_state: sessionState })
  }

  async sendGetRequestAsync<T>(url: string): Promise<NetworkResponse<T>> {
    this.discoveryRequests++
    const configuration = /^(.*?)(\/v2\.0)?\/\.well-known\/openid-configuration$/.exec(url)
    if (configuration?.[1] !== undefined) return reply(200, this.discovery(configuration[1]))
    if (url.includes('/discovery/instance')) return reply(200, instanceDiscovery(url))
    return reply(404, {})
  }

  async sendPostRequestAsync<T>(
    url: string,
    options: NetworkRequestOptions = {},
  ): Promise<NetworkResponse<T>> {
    const parameters = new URLSearchParams(options.body)
    const grant = GRANTS[parameters.get('grant_type') ?? '']
    if (!grant) return oauthError('unsupported_grant_type')
    this.tokenRequests[grant]++

    const chain = this.#chainOf(grant, parameters)
    const request: TokenRequest = {
      grant,
      url: new URL(url),
      parameters,
      homeAccountId: chain?.user.homeAccountId ?? '',
      chain: chain?.id ?? 0,
    }
    await this.#held(request)

    const configured = this.answers[grant] ?? {}
    const answer = typeof configured === 'function' ? configured(request) : configured
    if (answer.error) return oauthError(answer.error, answer)
    if (grant === 'client_credentials') return reply(200, this.#appTokens(answer))
    const place = placeOf(this.flavour, request.url)
    if (!chain || (chain.place !== undefined && chain.place !== place)) return oauthError('invalid_grant')
    if (grant === 'authorization_code') this.#codes.delete(parameters.get('code') ?? '')
    chain.place = place
    return reply(200, this.#userTokens(chain, request, answer))
  }

  /** Its answers have no `client_info`, so that MSAL names an account by its subject. */
  get #namesNobody(): boolean {
    return this.flavour === 'oidc' || this.flavour === 'adfs'
  }

  #begin(user: User, options: { nonce?: string; challenge?: string } = {}): Chain {
    const chain: Chain = { id: this.#chains.size + 1, user, ...options }
    this.#chains.set(chain.id, chain)
    return chain
  }

  #chainOf(grant: Grant, parameters: URLSearchParams): Chain | undefined {
    if (grant === 'authorization_code') {
      const chain = this.#codes.get(parameters.get('code') ?? '')
      const proved =
        chain?.challenge === undefined || chain.challenge === hash(parameters.get('code_verifier') ?? '')
      return proved ? chain : undefined
    }
    const presented = parameters.get(grant === 'refresh_token' ? 'refresh_token' : 'assertion') ?? ''
    return this.#chains.get(this.#issued.get(presented)?.chain ?? 0)
  }

  async #held(request: TokenRequest): Promise<void> {
    const index = this.#holds.findIndex((hold) => hold.matches(request))
    const [hold] = index < 0 ? [] : this.#holds.splice(index, 1)
    hold?.arrive(request)
    await hold?.released
  }

  #userTokens(home: Chain, request: TokenRequest, answer: Answer): object {
    const { url, parameters } = request
    const chain: Chain = { ...home, user: this.#signedInAt(home.user, url, answer.tid) }
    const { user } = chain
    const granted = (parameters.get('scope') ?? '').split(' ').filter((scope) => scope !== 'offline_access')
    const body: Record<string, unknown> = {
      ...lifetime(answer),
      scope: granted.join(' '),
      access_token: this.#accessToken(chain, 'https://graph.microsoft.com'),
      refresh_token: this.#remember(random(this.#sizes.refresh_token), 'refresh_token', chain),
      id_token: this.#idToken(chain, request, answer.idToken),
      ...(this.#namesNobody ? {} : { client_info: encode({ uid: user.uid, utid: user.utid }) }),
      ...(answer.clientInfo === undefined ? {} : { client_info: encode(answer.clientInfo) }),
    }
    for (const member of answer.omit ?? []) delete body[member]
    return body
  }

  /** The user as the tenant, or the user flow, of a token endpoint knows them. */
  #signedInAt(user: User, url: URL, answered: string | undefined): User {
    const isOwnFlow = policyOf(url.href) === policyOf(this.authority)
    if (this.flavour === 'b2c' && !isOwnFlow) {
      const uid = user.uid.replace(/-b2c_1.*$/, `-${policyOf(url.href)}`)
      return { ...user, uid, homeAccountId: `${uid}.${user.utid}` }
    }
    const named = this.flavour === 'entra' ? tenantAt(url) : undefined
    const isOwn = named === undefined || named === tenantAt(new URL(this.authority))
    const tid = answered ?? (isOwn ? undefined : named)
    if (tid === undefined || tid === user.tid) return user
    // A guest: the same person, under another object id and subject.
    return { ...user, tid, oid: hash(`${user.uid} ${tid}`), sub: hash(`sub ${user.uid} ${tid}`) }
  }

  #appTokens(answer: Answer): object {
    const claims = { aud: 'https://graph.microsoft.com', sub: CLIENT_ID, idtyp: 'app' }
    const token = jwt(claims, this.#sizes.access_token)
    return { ...lifetime(answer), access_token: this.#remember(token, 'access_token') }
  }

  #accessToken(chain: Chain, aud: string, claims: Record<string, unknown> = {}): string {
    const { oid, sub, tid } = chain.user
    const iat = Math.floor(Date.now() / 1000)
    const token = jwt({ aud, oid, sub, tid, idtyp: 'user', iat, ...claims }, this.#sizes.access_token)
    return this.#remember(token, 'access_token', chain)
  }

  #idToken(chain: Chain, { grant, url }: TokenRequest, over: Record<string, unknown> = {}): string {
    const { oid, sub, tid, name, username, sid } = chain.user
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: this.issuerFor(tid, baseOf(url)),
      aud: CLIENT_ID,
      sub,
      name,
      preferred_username: username,
      ...(sid === null ? {} : { sid }),
      ...(this.#namesNobody ? {} : { oid, ver: '2.0' }),
      ...{ entra: { tid }, ciam: { tid }, b2c: { tfp: policyOf(url.href) }, adfs: {}, oidc: {} }[
        this.flavour
      ],
      ...(grant === 'authorization_code' && chain.nonce !== undefined ? { nonce: chain.nonce } : {}),
      iat: now,
      nbf: now,
      exp: now + 3600,
      ...over,
    }
    return this.#remember(jwt(claims, this.#sizes.id_token), 'id_token', chain)
  }

  #remember(token: string, kind: TokenKind, chain?: Chain): string {
    const homeAccountId = chain?.user.homeAccountId ?? ''
    this.#issued.set(token, { token, kind, homeAccountId, chain: chain?.id ?? 0 })
    return token
  }
}

/** A silent call that names the account by its id alone, as a host's session knows it. */
export function acquireSilently(
  client: ConfidentialClientApplication,
  homeAccountId: string,
  options: { forceRefresh?: boolean; scopes?: string[] } = {},
): Promise<AuthenticationResult> {
  const account = { homeAccountId } as AccountInfo
  return client.acquireTokenSilent({ scopes: SCOPES, ...options, account })
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((fulfil) => {
    resolve = fulfil
  })
  return { promise, resolve }
}

function reply<T>(status: number, body: object): NetworkResponse<T> {
  return { status, headers: { 'content-type': 'application/json' }, body: body as T }
}

function oauthError<T>(error: string, { suberror, claims }: Answer = {}): NetworkResponse<T> {
  const described = { error, error_description: `the stand-in answers ${error}`, error_codes: [] }
  return reply(400, JSON.parse(JSON.stringify({ ...described, suberror, claims })) as object)
}

function lifetime(answer: Answer): object {
  const expires = answer.lifetime ?? 3600
  const refresh = answer.refreshIn === undefined ? {} : { refresh_in: answer.refreshIn }
  return { token_type: 'Bearer', expires_in: expires, ext_expires_in: expires, ...refresh }
}

/** Three base64url parts with a random signature: MSAL reads the claims and verifies nothing. */
function jwt(claims: object, size: number): string {
  const unpadded = encode({ ...claims, rh: '' }).length
  const padding = random(Math.max(0, Math.floor(((size - unpadded - 400) * 3) / 4)))
  return [encode({ typ: 'JWT', alg: 'RS256' }), encode({ ...claims, rh: padding }), random(342)].join('.')
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function random(length: number): string {
  return randomBytes(Math.max(32, length)).toString('base64url').slice(0, Math.max(32, length))
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
