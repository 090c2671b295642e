import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { exportJWK, generateKeyPair, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { startTlsServer, type TlsServer } from './tls-server.ts'

type Keys = Awaited<ReturnType<typeof generateKeyPair>>

const API = 'the API that is called'

/** A stand-in for Entra ID's two grants that no OpenID provider has: on behalf of a user, and as the application. */
export class TokenService {
  /** The grants that were asked for, newest last. */
  readonly grants: string[] = []
  readonly #keys: Keys
  #server: TlsServer | undefined

  private constructor(keys: Keys) {
    this.#keys = keys
  }

  static async start(): Promise<TokenService> {
    const service = new TokenService(await generateKeyPair('RS256'))
    service.#server = await startTlsServer(
      async () => (request, response) => service.#answer(request, response),
    )
    return service
  }

  get issuer(): string {
    return this.#server?.origin ?? ''
  }

  /** What an app needs to know of it. */
  get environment(): Record<string, string> {
    return {
      AUTHORITY: this.issuer,
      PROTOCOL_MODE: 'OIDC',
      SCOPES: 'notes.read',
      API_URL: `${this.issuer}/api`,
      NODE_EXTRA_CA_CERTS: this.#server?.certificate ?? '',
    }
  }

  /** A token of this service, or what only looks like one. */
  token(claims: JWTPayload, keys: Keys = this.#keys): Promise<string> {
    const token = new SignJWT({ iss: this.issuer, ...claims }).setProtectedHeader({
      alg: 'RS256',
      kid: 'key',
    })
    return (claims.iat === undefined ? token.setIssuedAt() : token)
      .setExpirationTime('1h')
      .sign(keys.privateKey)
  }

  async close(): Promise<void> {
    await this.#server?.close()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', this.issuer)
    const answers: Record<string, () => Promise<object | undefined>> = {
      '/.well-known/openid-configuration': async () => ({
        issuer: this.issuer,
        authorization_endpoint: `${this.issuer}/authorize`,
        token_endpoint: `${this.issuer}/token`,
        jwks_uri: `${this.issuer}/keys`,
      }),
      '/keys': async () => ({
        keys: [{ ...(await exportJWK(this.#keys.publicKey)), kid: 'key', alg: 'RS256', use: 'sig' }],
      }),
      '/token': async () => this.#grant(new URLSearchParams(await text(request))),
      '/api': () => this.#callApi(request.headers.authorization ?? ''),
    }
    const body = await answers[pathname]?.().catch(() => undefined)
    response.writeHead(body ? 200 : 400, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body ?? { error: 'invalid_grant' }))
  }

  async #grant(form: URLSearchParams): Promise<object> {
    const grant = form.get('grant_type') ?? ''
    this.grants.push(grant)
    const answer = { token_type: 'Bearer', expires_in: 3600, scope: form.get('scope') }
    const aud = form.get('client_id') ?? ''
    if (grant === 'client_credentials')
      return { ...answer, access_token: await this.token({ sub: aud, aud: API }) }
    const { payload } = await this.#verify(form.get('assertion') ?? '', aud)
    const sub = `${payload.sub}`
    return {
      ...answer,
      access_token: await this.token({ sub, aud: API }),
      refresh_token: `refresh token of ${sub}`,
      id_token: await this.token({ sub, aud }),
    }
  }

  async #callApi(authorization: string): Promise<object> {
    const { payload } = await this.#verify(authorization.replace('Bearer ', ''), API)
    return { caller: payload.sub }
  }

  #verify(token: string, audience: string) {
    return jwtVerify(token, this.#keys.publicKey, { issuer: this.issuer, audience })
  }
}
