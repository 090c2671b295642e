import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'

export const CLIENT_ID = 'client'
export const ISSUER = 'https://op.example'
export const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** The frozen clock of these tests. */
export const NOW = new Date('2026-03-01T12:00:00Z')
const now = NOW.getTime() / 1000

export interface SigningKey {
  alg: string
  kid: string
  privateKey: CryptoKey
  /** The public key, as a provider publishes it. */
  jwk: JWK
}

export async function signingKey(kid: string, alg = 'RS256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

/** The claims that the OpenID conformance suite sends, save for the unknown one. `undefined` leaves one out. */
export function claims(changes: Record<string, unknown> = {}): JWTPayload {
  return {
    iss: ISSUER,
    sub: 'subject',
    aud: CLIENT_ID,
    jti: 'token-1',
    sid: 'session-1',
    events: { [EVENT]: {} },
    iat: now,
    exp: now + 120,
    ...changes,
  }
}

export function sign(
  key: SigningKey,
  payload: JWTPayload = claims(),
  header: Record<string, unknown> = {},
): Promise<string> {
  const { alg, kid, privateKey } = key
  return new SignJWT(payload).setProtectedHeader({ alg, kid, typ: 'logout+jwt', ...header }).sign(privateKey)
}

export function encodeJson(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** A back-channel request as a web `Request`. */
export function post(body: ConstructorParameters<typeof URLSearchParams>[0]): Request {
  return new Request('https://rp.example/logout', { method: 'POST', body: new URLSearchParams(body) })
}

export type Answer = (response: ServerResponse) => void

/** An HTTP server on the loopback interface. */
export class LocalServer {
  readonly #server: Server
  readonly origin: string

  private constructor(server: Server) {
    this.#server = server
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  static async start(
    listener: (request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<LocalServer> {
    const server = createServer({ keepAliveTimeout: 1 }, listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new LocalServer(server)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

const DISCOVERY = '/.well-known/openid-configuration'
const KEYS = '/keys'
let issuers = 0

/** Serves a discovery document and a JWKS, or whatever a test has it answer instead. */
export class KeyServer {
  readonly #server: LocalServer
  /** No two servers of a process have one issuer, though they may have one port: what is known of it is cached. */
  readonly #path = `/op-${++issuers}`
  /** The paths asked for, under that of the issuer. */
  readonly requests: string[] = []
  keys: JWK[]
  /** Answers one path in another way. */
  readonly answers = new Map<string, Answer>()

  private constructor(server: LocalServer, keys: JWK[]) {
    this.#server = server
    this.keys = keys
  }

  static async start(...keys: SigningKey[]): Promise<KeyServer> {
    const started: { server?: KeyServer } = {}
    const local = await LocalServer.start((request, response) => started.server?.answer(request, response))
    const server = new KeyServer(
      local,
      keys.map((key) => key.jwk),
    )
    started.server = server
    return server
  }

  get issuer(): string {
    return this.#server.origin + this.#path
  }

  get jwksUri(): string {
    return this.issuer + KEYS
  }

  count(kind: 'discovery' | 'keys'): number {
    const path = kind === 'discovery' ? DISCOVERY : KEYS
    return this.requests.filter((it) => it === path).length
  }

  answerDiscovery(answer: Answer): void {
    this.answers.set(DISCOVERY, answer)
  }

  answerKeys(answer: Answer): void {
    this.answers.set(KEYS, answer)
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url?.replace(this.#path, '') ?? ''
    this.requests.push(path)
    const answer = this.answers.get(path) ?? this.#standardAnswer(path)
    answer(response)
  }

  #standardAnswer(path: string): Answer {
    if (path === DISCOVERY) return json({ issuer: this.issuer, jwks_uri: this.jwksUri })
    return path === KEYS ? json({ keys: this.keys }) : json({}, 404)
  }

  stop(): Promise<void> {
    return this.#server.stop()
  }
}

export function json(value: unknown, status = 200): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  }
}
