import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { RedisAdapter } from '../redis/adapter.ts'
import { type RedisStoreOptions, resolveRedisOptions } from '../redis/options.ts'
import type { KeyvLike } from '../store/adapter.ts'

/** The command line, or the environment, is wrong: nothing was done. */
export class UsageError extends Error {}

/** A store that the command has opened. */
export interface OpenedStore {
  readonly keyv: KeyvLike
  disconnect(): Promise<void>
}

interface Adapter {
  disconnect?(): Promise<void>
}

/** Packages are those of the application in the working directory. */
const application = createRequire(join(process.cwd(), 'package.json'))

/** @throws {UsageError} for a URL that names no store, and for a package or file that is not there */
export async function openStore({ url, ...redis }: RedisStoreOptions): Promise<OpenedStore> {
  const [first = ''] = [url].flat()
  const adapter = await openAdapter(first, { url, ...redis })
  const { Keyv } = await load<{ Keyv: new (options: object) => KeyvLike }>('keyv')
  const keyv = new Keyv({ store: adapter, namespace: '', useKeyPrefix: false })
  return { keyv, disconnect: async () => adapter.disconnect?.() }
}

async function openAdapter(url: string, redis: RedisStoreOptions): Promise<Adapter> {
  if (/^(redis|valkey)s?:/.test(url)) {
    return new RedisAdapter(resolveRedisOptions(redis), () => load('@keyv/redis'))
  }
  if (url.startsWith('sqlite:')) {
    const file = resolve(url.replace(/^sqlite:(\/\/)?/, ''))
    // The adapter would make an empty one, in which nobody is found.
    if (!existsSync(file)) throw new UsageError(`there is no file ${file}`)
    return make('@keyv/sqlite', { uri: `sqlite://${file}`, busyTimeout: 1_000 })
  }
  if (/^postgres(ql)?:/.test(url)) return make('@keyv/postgres', { uri: url, connectionTimeoutMillis: 2_000 })
  throw new UsageError('--store must be redis://…, rediss://…, sqlite:… or postgres://…')
}

async function make(name: string, options: object): Promise<Adapter> {
  const { default: Adapter } = await load<{ default: new (options: object) => Adapter }>(name)
  return new Adapter(options)
}

async function load<Module>(name: string): Promise<Module> {
  let path: string
  try {
    path = application.resolve(name)
  } catch {
    throw new UsageError(`${name} is not installed here: run this in the application's folder`)
  }
  const module = await import(pathToFileURL(path).href)
  // Of a CommonJS module, all that it exports.
  return module.default?.default === undefined ? module : module.default
}
