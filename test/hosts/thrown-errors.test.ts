import { InteractionRequiredAuthError, ServerError } from '@azure/msal-node'
import express from 'express'
import fastify from 'fastify'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { withStatus } from '../../src/errors.ts'
import {
  AccountEvictedError,
  AuthorizationResponseError,
  ConfigurationError,
  EvictionError,
  StoreUnavailableError,
} from '../../src/index.ts'
import * as hosts from '../support/throwing-hosts.ts'

const SECRET = 'hunter2'
/** What a driver says of the command that it failed on. */
const cause = new Error(`SET {"home_account_id":"${SECRET}"} to redis://app:${SECRET}@cache.example failed`)
const outage = new StoreUnavailableError('write', { timedOut: false, cause })

/** What a route throws, and the status that a host who has no error handler should answer. */
const THROWN: readonly (readonly [path: string, error: unknown, status: number])[] = [
  ['/outage', outage, 503],
  ['/eviction', new EvictionError({ fenced: false, cause: outage }), 503],
  ['/old-assertion', new AccountEvictedError(), 401],
  ['/nothing-pending', new AuthorizationResponseError('no_pending_sign_in'), 400],
  ['/cancelled', new AuthorizationResponseError('access_denied'), 403],
  ['/mistake', new ConfigurationError('clientId must be a non-empty string'), 500],
  ['/evicted-user', withStatus(new InteractionRequiredAuthError('no_tokens_found', 'sign in')), 401],
  ['/revoked', withStatus(Object.assign(new ServerError('invalid_grant', ''), { status: 400 })), 401],
  ['/wrong-secret', withStatus(Object.assign(new ServerError('invalid_client', ''), { status: 401 })), 500],
]
const thrown = new Map(THROWN.map(([path, error]) => [path, error]))

describe.each([
  ['Express 5', () => hosts.express5(express as never, thrown)],
  ['Fastify', () => hosts.fastify(fastify as never, thrown)],
])('%s, without an error handler of the host', (_, start) => {
  let host: hosts.ThrowingHost
  const print = vi.spyOn(console, 'error')

  beforeAll(async () => {
    print.mockImplementation(() => {})
    host = await start()
  })
  afterAll(async () => {
    print.mockRestore()
    await host.close()
  })

  test.each(THROWN)(
    'answers %s with the status of its error, and gives nothing away',
    async (path, _, status) => {
      const response = await fetch(`${host.url}${path}`)
      expect(response.status).toBe(status)
      expect(await response.text()).not.toContain(SECRET)
    },
  )
})
