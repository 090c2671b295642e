import { isIP } from 'node:net'
import type { RedisClientOptions } from '@keyv/redis'
import { ConfigurationError } from '../errors.ts'
import { PATIENCE, type RedisClient, RedisLink, type RedisNode, roleOf } from './link.ts'
import type { RedisSettings } from './options.ts'

type Package = typeof import('@keyv/redis')
type ServerOptions = RedisClientOptions<NoExtensions, NoExtensions, NoExtensions, 2>
type NoExtensions = Record<never, never>

const SENTINEL_PORT = '26379'

/** @throws {ConfigurationError} where `@keyv/redis` is not installed */
export async function loadPackage(): Promise<Package> {
  try {
    return await import('@keyv/redis')
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error
    throw new ConfigurationError(
      'openRedisStore needs @keyv/redis, which is missing: npm install @keyv/redis',
    )
  }
}

/**
 * Connects to the server that `url` names, to the one that Sentinels name at this moment, or to a cluster.
 * @param tell gets the errors of the connection, which say why calls fail
 */
export async function connect(
  redis: Package,
  settings: RedisSettings,
  tell: (error: unknown) => void,
): Promise<RedisLink> {
  const dial = new Dial(redis, settings, tell)
  return settings.cluster ? dial.cluster() : dial.server()
}

/** One attempt to connect. */
class Dial {
  readonly #redis: Package
  readonly #settings: RedisSettings
  readonly #tell: (error: unknown) => void
  #link: RedisLink | undefined
  /** The end of the credentials that end first. */
  #end = Number.POSITIVE_INFINITY

  constructor(redis: Package, settings: RedisSettings, tell: (error: unknown) => void) {
    this.#redis = redis
    this.#settings = settings
    this.#tell = tell
  }

  async server(): Promise<RedisLink> {
    const { url, sentinelMaster } = this.#settings
    const at = sentinelMaster === undefined ? url : await inTime(this.#master(sentinelMaster))
    const client = this.#redis.createClient(this.#authenticated(at))
    client.unref()
    const link = this.#linkTo(client, () => [client])
    client.on('error', () => link.retire())
    return this.#open(link, async () => {
      await client.connect()
      // What a replica says may be older than an eviction.
      if ((await roleOf(client)) === 'replica')
        throw new Error('the server is a replica: its master is needed')
    })
  }

  async cluster(): Promise<RedisLink> {
    const servername = await inTime(this.#servername())
    const { url: _, ...defaults } = this.#authenticated(this.#settings.url, servername)
    const cluster = this.#redis.createCluster({
      rootNodes: this.#settings.urls.map((url) => this.#authenticated(url, servername)),
      defaults,
      // A node that is down keeps nobody from the others.
      minimizeConnections: true,
    })
    const link = this.#linkTo(cluster, () => cluster.masters.flatMap(({ client }) => client ?? []))
    cluster.on('node-connect', ({ host, port }) => {
      cluster.nodeByAddress.get(`${host}:${port}`)?.client?.unref()
    })
    cluster.on('node-error', () => link.retire())
    return this.#open(link, () => cluster.connect())
  }

  #linkTo(client: RedisClient, nodes: () => Iterable<RedisNode>): RedisLink {
    const adapter = new this.#redis.default<string>(client, { throwOnErrors: true })
    adapter.on('error', this.#tell)
    return new RedisLink(adapter, client, nodes)
  }

  async #open(link: RedisLink, connected: () => Promise<unknown>): Promise<RedisLink> {
    try {
      await inTime(connected())
    } catch (error) {
      link.retire()
      throw error
    }
    this.#link = link
    this.#renew()
    return link
  }

  /** Before the credentials end; a cluster asks for them again for each node, when it needs it. */
  #renew(): void {
    if (this.#end < Number.POSITIVE_INFINITY) this.#link?.renewBefore(this.#end)
  }

  async #master(name: string): Promise<URL> {
    const { url, urls } = this.#settings
    const reply = await this.#first(
      urls.map((sentinel) => this.#options(withPort(sentinel, SENTINEL_PORT))),
      ['SENTINEL', 'get-master-addr-by-name', name],
    )
    if (!Array.isArray(reply)) throw new Error('the Sentinels know no master by the name sentinelMaster')
    const [host = '', port = ''] = reply.map(String)
    const master = new URL(url)
    master.username = ''
    master.password = ''
    master.hostname = isIP(host) === 6 ? `[${host}]` : host
    master.port = port
    return master
  }

  /** What certificates must name where the nodes of the cluster announce IP addresses: the host of `url`. */
  async #servername(): Promise<string | undefined> {
    const { url, urls, tls } = this.#settings
    if (url.protocol !== 'rediss:' || tls.servername !== undefined || isIP(url.hostname)) return undefined
    const seeds = urls.map((seed) => this.#authenticated(seed))
    const reply = (await this.#first(seeds, ['CLUSTER', 'SLOTS'])) as [
      from: number,
      to: number,
      [host: string],
    ][]
    return isIP(`${reply[0]?.[2][0]}`) ? url.hostname : undefined
  }

  /** The answer of the server that answers first. */
  async #first(servers: ServerOptions[], command: string[]): Promise<unknown> {
    return Promise.any(servers.map((server) => this.#ask(server, command))).catch((error: unknown) => {
      throw error instanceof AggregateError ? error.errors[0] : error
    })
  }

  async #ask(server: ServerOptions, command: string[]): Promise<unknown> {
    const client = this.#redis.createClient(server)
    client.on('error', () => {})
    client.unref()
    try {
      await client.connect()
      return await client.sendCommand<unknown>(command)
    } finally {
      if (client.isOpen) client.destroy()
    }
  }

  #authenticated(url: URL, servername?: string): ServerOptions {
    const options = this.#options(url, servername)
    const { credentials } = this.#settings
    if (credentials === undefined) return options
    return {
      ...options,
      credentialsProvider: {
        type: 'async-credentials-provider',
        credentials: async () => {
          const { username = 'default', password, expiresOnTimestamp } = await credentials()
          this.#end = Math.min(this.#end, expiresOnTimestamp ?? this.#end)
          this.#renew()
          return { username, password }
        },
      },
    }
  }

  #options(url: URL, servername?: string): ServerOptions {
    const { tls } = this.#settings
    const isSecure = url.protocol === 'rediss:'
    return {
      url: url.href,
      RESP: 2,
      disableOfflineQueue: true,
      disableClientInfo: true,
      socket: {
        ...(isSecure && { ...(servername !== undefined && { servername }), ...tls, tls: true }),
        connectTimeout: PATIENCE,
        reconnectStrategy: false,
      },
    }
  }
}

function withPort(url: URL, port: string): URL {
  const other = new URL(url)
  other.port ||= port
  return other
}

async function inTime<Result>(work: Promise<Result>): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`Redis did not answer within ${PATIENCE} ms`)), PATIENCE)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}
