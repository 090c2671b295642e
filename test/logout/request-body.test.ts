import { once } from 'node:events'
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { createConnection } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import {
  BadRequestError,
  BODY_TIMEOUT,
  type CallbackRequest,
  LONGEST_REQUEST,
  onlyValue,
  receive,
} from '../../src/logout/request.ts'
import { length } from '../support/length.ts'
import { mutant } from '../support/mutant.ts'
import type { MutantName } from '../support/mutants.ts'
import { badRequest } from './outcome.ts'
import { LocalServer } from './provider.ts'

const FORM = 'application/x-www-form-urlencoded'
const MEGABYTE = 1024 * 1024
/** What nobody may be made to read. */
const HUGE = length({ short: 20, long: 100 }) * MEGABYTE
const URL_OF_ROUTE = 'https://rp.example/logout'

async function tokenOf(
  request: CallbackRequest,
  from: typeof receive = receive,
): Promise<string | undefined> {
  return onlyValue(await from(request).readForm(), 'logout_token', LONGEST_REQUEST)
}

const brokenReceive = async (name: MutantName) =>
  (await mutant<{ receive: typeof receive }>(name, 'receive')).receive

describe('a web Request', () => {
  function streamed(body: ReadableStream): Request {
    const init = { method: 'POST', headers: { 'content-type': FORM }, body, duplex: 'half' }
    return new Request(URL_OF_ROUTE, init as RequestInit)
  }

  test('is read', async () => {
    expect(await tokenOf(streamed(new Blob(['logout_', 'token=token']).stream()))).toBe('token')
  })

  test('without a body has no token', async () => {
    const request = new Request(URL_OF_ROUTE, { method: 'POST', headers: { 'content-type': FORM } })
    expect(await tokenOf(request)).toBeUndefined()
  })

  test('whose body was read before is a programming error', async () => {
    const used = streamed(new Blob(['logout_token=token']).stream())
    await used.text()
    const locked = streamed(new Blob(['logout_token=token']).stream())
    locked.body?.getReader()
    const broken = await brokenReceive('body: locked taken for none')
    for (const request of [used, locked]) {
      expect(await tokenOf(request, broken)).toBeUndefined()
      await expect(tokenOf(request)).rejects.toThrow(ConfigurationError)
      await expect(tokenOf(request)).rejects.toThrow('{ method, url, headers, body }')
    }
  })

  test(`of ${HUGE / MEGABYTE} MB is cut at 64 KiB, and the rest is not pulled`, async () => {
    const count = async (from: typeof receive) => {
      let pulled = 0
      const body = new ReadableStream({
        pull(controller) {
          if (pulled >= HUGE) return controller.close()
          pulled += 16 * 1024
          controller.enqueue(new Uint8Array(16 * 1024))
        },
      })
      const request = streamed(body)
      await badRequest(tokenOf(request, from)).catch(() => {})
      return { pulled, locked: request.body?.locked }
    }
    expect(await count(receive)).toEqual({ pulled: expect.any(Number), locked: false })
    expect((await count(receive)).pulled).toBeLessThanOrEqual(LONGEST_REQUEST + 3 * 16 * 1024)
    const broken = await brokenReceive('body: of any size')
    expect((await count(broken)).pulled).toBe(HUGE)
  })

  test('whose stream fails, or is not of bytes, is refused', async () => {
    const failing = new ReadableStream({
      pull(controller) {
        controller.error(new Error('reset'))
      },
    })
    expect((await badRequest(tokenOf(streamed(failing)))).message).toContain('cut off')
    const numbers = new ReadableStream({
      pull(controller) {
        controller.enqueue(7)
      },
    })
    const plain = { method: 'POST', url: '/', headers: { 'content-type': FORM }, body: numbers }
    expect((await badRequest(tokenOf(plain))).message).toContain('bytes')
  })

  test('that stalls is given up after five seconds, without a rejection left over', async () => {
    const broken = await brokenReceive('body: as slow as it likes')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const outcome = tokenOf(streamed(new ReadableStream()))
    const endless = tokenOf(streamed(new ReadableStream()), broken)
    const refused = badRequest(outcome)
    await vi.advanceTimersByTimeAsync(BODY_TIMEOUT)
    expect((await refused).message).toContain('slow')
    expect(await Promise.race([endless, Promise.resolve('still waiting')])).toBe('still waiting')
    vi.useRealTimers()
  })
})

describe('a Node IncomingMessage', () => {
  let server: LocalServer
  let host: (request: IncomingMessage, response: ServerResponse) => unknown
  /** What `tokenOf` made of the request, as a host would see it. */
  let outcomes: unknown[]

  const read = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const outcome = await tokenOf(request).catch((error: unknown) => error)
    outcomes.push(outcome)
    response
      .writeHead(outcome instanceof Error ? (outcome instanceof BadRequestError ? 400 : 500) : 200)
      .end()
  }

  beforeEach(async () => {
    outcomes = []
    host = read
    server = await LocalServer.start((request, response) => host(request, response))
  })
  afterEach(async () => {
    vi.useRealTimers()
    await server.stop()
  })

  function connect(headers: Record<string, string | number> = {}): ClientRequest {
    const options = { method: 'POST', headers: { 'content-type': FORM, ...headers } }
    return httpRequest(`${server.origin}/logout`, options).on('error', () => {})
  }

  async function send(
    body: string,
    headers: Record<string, string | number> = {},
  ): Promise<number | undefined> {
    const client = connect(headers).end(body)
    const [response] = (await once(client, 'response')) as [IncomingMessage]
    response.resume()
    return response.statusCode
  }

  test('is read', async () => {
    expect(await send('logout_token=token')).toBe(200)
    expect(await send('logout_token=token', { 'transfer-encoding': 'chunked' })).toBe(200)
    expect(await send('')).toBe(200)
    expect(outcomes).toEqual(['token', 'token', undefined])
  })

  test('of 64 KiB is read, of one byte more is refused', async () => {
    const form = (size: number) => `logout_token=token&x=${'x'.repeat(size - 'logout_token=token&x='.length)}`
    expect(await send(form(LONGEST_REQUEST))).toBe(200)
    expect(await send(form(LONGEST_REQUEST + 1))).toBe(400)
  })

  test('mounted by a router, encoded, or paused is read', async () => {
    host = async (request, response) => {
      request.url = '/'
      request.setEncoding('utf8').pause()
      await read(request, response)
    }
    expect(await send('logout_token=token')).toBe(200)
    expect(outcomes).toEqual(['token'])
  })

  test.each([
    ['an object', (body: string) => Object.fromEntries(new URLSearchParams(body))],
    ['text', (body: string) => body],
    ['a Buffer', (body: string) => Buffer.from(body)],
  ])('that a body parser has made %s of is taken from there', async (_, parsed) => {
    host = async (request, response) => {
      Object.assign(request, { body: parsed(await text(request)) })
      await read(request, response)
    }
    expect(await send('logout_token=token')).toBe(200)
    expect(await send('other=x')).toBe(200)
    expect(outcomes).toEqual(['token', undefined])
  })

  test('with the empty object that Express 4 puts there is read', async () => {
    host = (request, response) => read(Object.assign(request, { body: {} }), response)
    await send('logout_token=token')
    expect(outcomes).toEqual(['token'])
  })

  test('that a body parser found empty has no token', async () => {
    host = async (request, response) => {
      await text(request)
      await read(Object.assign(request, { body: {} }), response)
    }
    await send('')
    expect(outcomes).toEqual([undefined])
  })

  test('that something has read, wholly or begun to, without leaving a body, is a programming error', async () => {
    const broken = await brokenReceive('body: consumed taken for none')
    host = async (request, response) => {
      await text(request)
      expect(await tokenOf(request, broken)).toBeUndefined()
      await read(request, response)
    }
    await send('logout_token=token')
    host = async (request, response) => {
      request.once('data', () => {})
      await once(request, 'data')
      await read(request, response)
    }
    const client = connect()
    client.write('logout_token=')
    await once(client, 'response')
    client.destroy()
    expect(outcomes).toEqual([expect.any(ConfigurationError), expect.any(ConfigurationError)])
  })

  test('of a wrong content type is refused before its body is read', async () => {
    let wasRead: boolean | undefined
    host = async (request, response) => {
      const outcome = tokenOf(request).catch((error: unknown) => error)
      outcomes.push(await outcome)
      wasRead = request.readableDidRead
      response.writeHead(400).end()
    }
    expect(await send('{}', { 'content-type': 'application/json' })).toBe(400)
    expect(wasRead).toBe(false)
  })

  describe(`of ${HUGE / MEGABYTE} MB`, () => {
    const announced = [`content-length: ${HUGE}`, ''] as const
    const chunked = ['transfer-encoding: chunked', `${(HUGE).toString(16)}\r\n`] as const

    /** Sends until the server closes the connection. What it answered, and how much it has read by then. */
    async function flood([header, start]: readonly [string, string], from: typeof receive = receive) {
      const closed = Promise.withResolvers<number>()
      host = async (request, response) => {
        request.socket.on('close', () => closed.resolve(request.socket.bytesRead))
        const outcome = await tokenOf(request, from).catch((error: unknown) => error)
        outcomes.push(outcome)
        response.writeHead(outcome instanceof Error ? 400 : 200).end()
      }
      let answered = ''
      const client = createConnection(Number(new URL(server.origin).port), '127.0.0.1')
      client
        .on('error', () => {})
        .on('data', (bytes) => {
          answered += bytes.toString()
        })
      client.write(
        `POST /logout HTTP/1.1\r\nhost: rp.example\r\ncontent-type: ${FORM}\r\n${header}\r\n\r\n${start}`,
      )
      const block = Buffer.alloc(MEGABYTE, 'x')
      for (let sent = 0; sent < 100 && !client.destroyed; sent++) {
        if (!client.write(block)) await Promise.race([once(client, 'drain').catch(() => {}), closed.promise])
      }
      const read = await closed.promise
      client.destroy()
      return { status: answered.split(' ')[1], read }
    }

    test.each([
      ['announced', announced],
      ['chunked', chunked],
    ])('%s is cut at 64 KiB: answered, and the rest is never read', async (_, framing) => {
      const { status, read } = await flood(framing)
      expect(status).toBe('400')
      expect(read).toBeLessThan(MEGABYTE)
      expect(outcomes).toEqual([expect.any(BadRequestError)])
    })

    test('without the limit, all of it is read', async () => {
      const broken = await brokenReceive('body: of any size')
      const { read } = await flood(announced, broken)
      expect(read).toBeGreaterThan(HUGE)
    })

    test('drained instead of left alone, all of it is read', async () => {
      const broken = await brokenReceive('body: drained')
      const { read } = await flood(announced, broken)
      expect(read).toBeGreaterThan(HUGE)
    })
  })

  test('that stalls, or drips, is given up after five seconds, and answered', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const arrived = Promise.withResolvers<IncomingMessage>()
    host = (request, response) => {
      const done = read(request, response)
      arrived.resolve(request)
      return done
    }
    const client = connect({ 'content-length': 1000 })
    const answered = once(client, 'response') as Promise<[IncomingMessage]>
    client.write('logout_')
    const request = await arrived.promise
    for (let i = 0; i < 4; i++) {
      client.write('x')
      await once(request, 'data')
      await vi.advanceTimersByTimeAsync(1000)
    }
    expect(outcomes).toEqual([])
    await vi.advanceTimersByTimeAsync(1000)
    const [response] = await answered
    expect(response.statusCode).toBe(400)
    expect(outcomes).toEqual([expect.objectContaining({ message: 'the body was too slow' })])
    client.destroy()
  })

  test('whose client goes away is refused, and nothing is thrown later', async () => {
    const answered = Promise.withResolvers<void>()
    host = async (request, response) => {
      await read(request, response)
      answered.resolve()
    }
    const client = connect({ 'content-length': 1000 })
    client.write('logout_')
    client.once('socket', (socket) => socket.once('connect', () => setImmediate(() => client.destroy())))
    await answered.promise
    expect(outcomes).toEqual([expect.objectContaining({ message: 'the body was cut off' })])
  })

  test('whose client was gone before is refused at once', async () => {
    const destroyed = Object.assign(new Readable({ read() {} }), {
      method: 'POST',
      url: '/',
      headers: { 'content-type': FORM },
    })
    destroyed.destroy()
    await once(destroyed, 'close')
    expect((await badRequest(tokenOf(destroyed))).message).toBe('the body was cut off')
  })

  test('that fails after it was cut does not end the process', async () => {
    const stream = Object.assign(Readable.from([Buffer.alloc(LONGEST_REQUEST + 1), Buffer.alloc(1)]), {
      method: 'POST',
      url: '/',
      headers: { 'content-type': FORM },
    })
    await badRequest(tokenOf(stream))
    const closed = new Promise((resolve) => stream.on('close', resolve))
    stream.destroy(new Error('reset'))
    await closed
  })

  test('leaves no listener that would keep the body alive', async () => {
    let listeners: unknown
    host = async (request, response) => {
      const count = () => ['data', 'end', 'close'].map((event) => request.listenerCount(event))
      const before = count()
      await read(request, response)
      listeners = [before, count()]
    }
    await send('logout_token=token')
    const [before, after] = listeners as [unknown, unknown]
    expect(after).toEqual(before)
  })
})
