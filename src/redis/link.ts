import { setTimeout as pass, setImmediate as turn } from 'node:timers/promises'
import type KeyvRedis from '@keyv/redis'
import type { RedisClientType, RedisClusterType } from '@keyv/redis'

export type RedisClient = RedisClientType | RedisClusterType
/** A connection to one server. */
export type RedisNode = Pick<RedisClientType, 'isOpen' | 'isReady' | 'sendCommand' | 'destroy'>

/** Milliseconds that a connection may take to open, and a server to answer a question. */
export const PATIENCE = 2_000
/** Milliseconds between questions whether the server is there, and still a master. */
const INTERVAL = 2_000
/** Milliseconds before credentials end, at which others are asked for; the least that a connection is kept for them. */
const RENEWAL = 120_000
const SHORTEST_LIFE = 1_000
const LONGEST_TIMER = 2 ** 31 - 1
/** What a server says to who must go to another one, or say again who they are. */
const LEAVE = /^(READONLY|MOVED|NOAUTH|WRONGPASS|MASTERDOWN)\b/

/** What is open to a server, or to a cluster: it is used until it is lost, and never opened again. */
export class RedisLink {
  readonly client: RedisClient
  readonly #redis: KeyvRedis<string>
  readonly #nodes: () => Iterable<RedisNode>
  readonly #ended = Promise.withResolvers<void>()
  readonly #watch: NodeJS.Timeout
  #renewal: NodeJS.Timeout | undefined
  #users = 0
  #isRetired = false

  /** @param nodes the connections that are open at the moment */
  constructor(redis: KeyvRedis<string>, client: RedisClient, nodes: () => Iterable<RedisNode>) {
    this.client = client
    this.#redis = redis
    this.#nodes = nodes
    this.#watch = setInterval(() => this.#ask(), INTERVAL).unref()
  }

  get isUsable(): boolean {
    return !this.#isRetired
  }

  async use<Result>(run: (redis: KeyvRedis<string>) => Promise<Result>): Promise<Result> {
    this.#users++
    try {
      return await run(this.#redis)
    } catch (error) {
      if (error instanceof Error && LEAVE.test(error.message)) this.retire()
      throw error
    } finally {
      if (--this.#users === 0 && this.#isRetired) this.#end()
    }
  }

  /** From now on nobody else uses it. Resolves when it is closed, after the calls in flight. */
  retire(): Promise<void> {
    this.#isRetired = true
    if (this.#users === 0) this.#end()
    return this.#ended.promise
  }

  /** @param end of the credentials, in milliseconds since 1970 */
  renewBefore(end: number): void {
    const left = end - Date.now()
    const life = Math.max(left - RENEWAL, left / 2, SHORTEST_LIFE)
    clearTimeout(this.#renewal)
    this.#renewal = setTimeout(() => this.retire(), Math.min(life, LONGEST_TIMER)).unref()
  }

  #ask(): void {
    for (const node of this.#nodes()) if (node.isReady) void this.#askNode(node)
  }

  /** A server whose machine has vanished says nothing, and one that was demoted goes on answering reads. */
  async #askNode(node: RedisNode): Promise<void> {
    const silence = async () => {
      await pass(PATIENCE, undefined, { ref: false })
      // After a blocked event loop, timers come before sockets, and an immediate after both.
      return turn('silence' as const, { ref: false })
    }
    const answer = await Promise.race([roleOf(node), silence()])
    if (answer === 'silence' && node.isOpen) node.destroy()
    if (answer === 'silence' || answer === 'replica') this.retire()
  }

  #end(): void {
    clearInterval(this.#watch)
    clearTimeout(this.#renewal)
    if (this.client.isOpen) this.client.destroy()
    this.#ended.resolve()
  }
}

/** Undefined where the server does not say. */
export async function roleOf(node: Pick<RedisNode, 'sendCommand'>): Promise<string | undefined> {
  // Allowed to everybody who may connect, and since Redis 6 it says the role.
  const answer = await node.sendCommand<unknown>(['HELLO']).catch(() => undefined)
  return Array.isArray(answer) ? String(answer[answer.indexOf('role') + 1]) : undefined
}
