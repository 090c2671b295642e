import type { ConnectionOptions } from 'node:tls'
import { ConfigurationError } from '../errors.ts'
import { checkOptions, isObject, isString, isText } from '../guards.ts'

/** Who connects, as a Redis server knows them. */
export interface RedisCredentials {
  /** Default `default`, the user that every server has. */
  username?: string | undefined
  password: string
  /** When they end, in milliseconds since 1970: the store asks again before that, and connects anew. Default never. */
  expiresOnTimestamp?: number | undefined
}

/** Options of `openRedisStore`. */
export interface RedisStoreOptions {
  /**
   * `redis://host:port`, or `rediss://` for TLS, with `user:password@` and `/database` where needed; `valkey://` and
   * `valkeys://` are the same. Of Sentinels and of the nodes of a cluster an array: the first that answers will do.
   */
  url: string | readonly string[]
  /** Whether `url` names nodes of a Redis Cluster; on Azure, the OSS cluster policy. Default false. */
  cluster?: boolean | undefined
  /** The name of the master, where `url` names the Sentinels that watch over it. Default none. */
  sentinelMaster?: string | undefined
  /**
   * Take the place of those in `url`, which are then for Sentinels alone. A function is asked before each connection.
   * Default: those in `url`.
   */
  credentials?: RedisCredentials | (() => RedisCredentials | Promise<RedisCredentials>) | undefined
  /**
   * What `tls.connect` takes, such as `ca`, `cert`, `key`, `servername`. By default a certificate must name the host;
   * the nodes of a cluster that announce IP addresses are asked for the one that names the host of `url`.
   */
  tls?: ConnectionOptions | undefined
}

/** {@link RedisStoreOptions}, checked. */
export interface RedisSettings {
  /** The first of `urls`. */
  readonly url: URL
  readonly urls: readonly URL[]
  readonly cluster: boolean
  readonly sentinelMaster: string | undefined
  /** Undefined where the server asks for none. */
  readonly credentials: (() => RedisCredentials | Promise<RedisCredentials>) | undefined
  readonly tls: ConnectionOptions
}

const OPTION_NAMES = ['url', 'cluster', 'sentinelMaster', 'credentials', 'tls']
const PROTOCOLS: Readonly<Record<string, string>> = {
  'redis:': 'redis:',
  'valkey:': 'redis:',
  'rediss:': 'rediss:',
  'valkeys:': 'rediss:',
}

/** @throws {ConfigurationError} naming the option */
export function resolveRedisOptions(options: string | RedisStoreOptions): RedisSettings {
  const given = isString(options) ? { url: options } : options
  checkOptions(given, OPTION_NAMES, 'openRedisStore takes a URL, or an object of options')
  const { url, cluster = false, sentinelMaster, credentials, tls = {} } = given
  const urls = [url].flat().map(parse)
  const [first] = urls
  if (first === undefined) throw new ConfigurationError('url must name at least one server')
  if (typeof cluster !== 'boolean') throw new ConfigurationError('cluster must be true or false')
  if (sentinelMaster !== undefined && !isText(sentinelMaster)) {
    throw new ConfigurationError('sentinelMaster must be the name that the Sentinels know the master by')
  }
  if (cluster && sentinelMaster !== undefined) {
    throw new ConfigurationError('cluster and sentinelMaster exclude each other: leave one of them out')
  }
  if (urls.length > 1 && !cluster && sentinelMaster === undefined) {
    throw new ConfigurationError(
      'url must name one server, or the nodes of a cluster, or Sentinels: use cluster: true or sentinelMaster',
    )
  }
  if (!isObject(tls)) {
    throw new ConfigurationError('tls must be an object of options for tls.connect')
  }
  const ask = provider(credentials ?? inUrl(first))
  if (sentinelMaster === undefined) for (const each of urls) each.username = each.password = ''
  return { url: first, urls, cluster, sentinelMaster, credentials: ask, tls }
}

/** Quotes nothing: a URL may hold a password (P9). */
function parse(text: string): URL {
  const url = isString(text) && URL.canParse(text) ? new URL(text) : undefined
  const protocol = PROTOCOLS[url?.protocol ?? '']
  if (url === undefined || protocol === undefined || url.hostname === '') {
    throw new ConfigurationError('url must be like redis://host:6379, or rediss://host:6379 for TLS')
  }
  url.protocol = protocol
  return url
}

function inUrl({ username, password }: URL): RedisCredentials | undefined {
  if (password === '') return undefined
  return { username: decodeURIComponent(username) || undefined, password: decodeURIComponent(password) }
}

function provider(credentials: RedisStoreOptions['credentials']): RedisSettings['credentials'] {
  if (credentials === undefined || typeof credentials === 'function') return credentials
  if (!isString(credentials?.password)) {
    throw new ConfigurationError(
      'credentials must be { username, password }, or a function that returns them',
    )
  }
  const { username, password } = credentials
  return () => ({ username, password })
}
