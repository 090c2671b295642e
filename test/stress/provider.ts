import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import type {
  AuthenticationResult,
  Configuration,
  INetworkModule,
  NetworkRequestOptions,
  NetworkResponse,
} from '@azure/msal-node'
import { CLIENT_ID, TENANT_ID } from '../support/entra.ts'

export const ISSUER = `https://login.microsoftonline.com/${TENANT_ID}/v2.0`

/** Of every sign-in: a provider without memory cannot know another. */
export const NONCE = 'nonce'

/** What a token says of itself: whose it is, and the sign-in that it comes from. */
export interface TokenOrigin {
  readonly account: number
  readonly chain: string
}

/**
 * An identity provider without memory: every token says what it is, so that the stand-in of one process can answer
 * the refresh token that another's has issued.
 */
export class StatelessEntra implements INetworkModule {
  readonly #latency = new AsyncLocalStorage<number>()
  readonly #prefix: string
  #issued = 0

  /** @param prefix makes this process' tokens different from all others' */
  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** Answers what `call` asks of the provider after so many milliseconds. */
  withLatency<Result>(milliseconds: number, call: () => Promise<Result>): Promise<Result> {
    return this.#latency.run(milliseconds, call)
  }

  configuration(): Configuration {
    return {
      auth: {
        clientId: CLIENT_ID,
        clientSecret: 'not a secret',
        authority: `https://login.microsoftonline.com/${TENANT_ID}`,
      },
      system: { networkClient: this },
    }
  }

  sendGetRequestAsync<T>(url: string): Promise<NetworkResponse<T>> {
    return Promise.reject(new Error(`nothing is to be discovered, but ${url} was asked for`))
  }

  async sendPostRequestAsync<T>(
    _url: string,
    options: NetworkRequestOptions = {},
  ): Promise<NetworkResponse<T>> {
    await delay(this.#latency.getStore() ?? 0)
    const parameters = new URLSearchParams(options.body)
    const presented = parameters.get('code') ?? parameters.get('refresh_token') ?? ''
    const [kind] = presented.split('.')
    const known = parameters.has('code') ? kind === 'code' : kind === 'refresh'
    const headers = { 'content-type': 'application/json' }
    if (!known) return { status: 400, headers, body: { error: 'invalid_grant' } as T }
    const scope = (parameters.get('scope') ?? '').replace('offline_access', '').trim()
    return { status: 200, headers, body: this.#tokens(presented, scope) as T }
  }

  #tokens(presented: string, scope: string): object {
    const [, account = '', chain = '', sid = ''] = presented.split('.')
    const uid = uidOf(Number(account))
    const unique = `${this.#prefix}-${++this.#issued}`
    const iat = Math.floor(Date.now() / 1000)
    const claims = {
      ...{ iss: ISSUER, aud: CLIENT_ID, sub: uid, oid: uid, tid: TENANT_ID, ver: '2.0', sid },
      ...{ name: uid, preferred_username: `${uid}@contoso.example`, iat, nbf: iat, exp: iat + 3600 },
      nonce: NONCE,
      origin: `id.${account}.${chain}`,
    }
    return {
      ...{ token_type: 'Bearer', expires_in: 3600, ext_expires_in: 3600, scope },
      access_token: `access.${account}.${chain}.${unique}`,
      refresh_token: `refresh.${account}.${chain}.${sid}.${unique}`,
      id_token: [encode({ typ: 'JWT', alg: 'RS256' }), encode(claims), 'signature'].join('.'),
      client_info: encode({ uid, utid: TENANT_ID }),
    }
  }
}

/** An authorization code: a sign-in of that account in the provider's session `sid`. */
export function authorizationCode({ account, chain }: TokenOrigin, sid: string): string {
  return `code.${account}.${chain}.${sid}`
}

export function sidOf(account: number, browser: number): string {
  return `sid-${account}-${browser}`
}

export function homeAccountIdOf(account: number): string {
  return `${uidOf(account)}.${TENANT_ID}`
}

/** The account of a home account id, or -1 where there is none. */
export function accountOf(homeAccountId: string | undefined): number {
  const [, digits, utid] = /^([0-9]{8})-0000-4000-8000-0000005742e5\.(.*)$/.exec(homeAccountId ?? '') ?? []
  return digits === undefined || utid !== TENANT_ID ? -1 : Number(digits)
}

/** What a secret says of itself: an access token, a refresh token or an ID token. */
export function originOf(secret: string): TokenOrigin {
  const text = /^(?:access|refresh)\./.test(secret) ? secret : originClaim(secret)
  const [, account = '-1', chain = ''] = text.split('.')
  return { account: Number(account), chain }
}

/** Whose the tokens of a result are and where they come from: one of each, if all is well. */
export function originsOf(result: AuthenticationResult): { owners: number[]; chains: string[] } {
  const origins = [result.accessToken, result.idToken].filter((token) => token !== '').map(originOf)
  const owners = [...origins.map(({ account }) => account), accountOf(result.account?.homeAccountId)]
  return { owners: [...new Set(owners)], chains: [...new Set(origins.map(({ chain }) => chain))] }
}

function uidOf(account: number): string {
  return `${String(account).padStart(8, '0')}-0000-4000-8000-0000005742e5`
}

function originClaim(idToken: string): string {
  try {
    const payload = Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString()
    return String((JSON.parse(payload) as { origin?: unknown }).origin)
  } catch {
    return ''
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
