#!/usr/bin/env node
import { subscribe } from 'node:diagnostics_channel'
import { parseArgs } from 'node:util'
import { ConfigurationError, MsalKeyvError } from '../errors.ts'
import { parseJson } from '../guards.ts'
import type { KeyvCachePluginOptions } from '../options.ts'
import { KeyvCachePlugin } from '../plugin.ts'
import { type EncryptionKey, generateEncryptionKey } from '../records/encryption-keys.ts'
import { openStore, UsageError } from './open-store.ts'

const USAGE = `msal-keyv check                                  tries the store, and says what will go wrong later
msal-keyv evict <home account id>                ends an account's sign-in, in every process
msal-keyv evict --tenant <id> --object-id <id>   the same, for a user of a directory
msal-keyv keys generate                          prints a new encryption key

  --store <url>            redis://host:6379, rediss://…, sqlite:file, postgres://user@host/database;
                           repeat it for Sentinels, and for the nodes of a cluster
  --cluster                --store names nodes of a Redis Cluster
  --sentinel-master <name> --store names the Sentinels that watch over this master
  --client-id <id>         the application's
  --namespace <name>       as in its options, if it has one
  --json                   prints one line of JSON

Secrets come from the environment:
  MSAL_KEYV_STORE            in place of --store, where the URL has a password
  MSAL_KEYV_ENCRYPTION_KEYS  as in its options, as JSON
  MSAL_KEYV_KEY_SECRET       as in its options

Exit code: 0 done, 1 nothing found, 2 not confirmed (repeat it), 64 wrong usage`

const DONE = 0
const NOTHING_FOUND = 1
const NOT_CONFIRMED = 2
const WRONG_USAGE = 64
/** Milliseconds: nobody waits for a page. */
const STORE_TIMEOUT = 10_000

type Arguments = ReturnType<typeof parse>
interface Result {
  readonly exitCode: number
  /** For people. */
  readonly text: string
  /** For programs. */
  readonly details: object
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        store: { type: 'string', multiple: true },
        cluster: { type: 'boolean' },
        'sentinel-master': { type: 'string' },
        'client-id': { type: 'string' },
        namespace: { type: 'string' },
        tenant: { type: 'string' },
        'object-id': { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

async function run({ values, positionals }: Arguments): Promise<Result> {
  const [command, ...operands] = positionals
  switch (values.help ? 'help' : [command, ...(command === 'keys' ? operands : [])].join(' ')) {
    case 'help':
      return { exitCode: DONE, text: USAGE, details: {} }
    case 'keys generate': {
      const key = generateEncryptionKey()
      return { exitCode: DONE, text: JSON.stringify([key]), details: { keys: [key] } }
    }
    case 'check':
      if (operands.length > 0) throw new UsageError('check takes no operand')
      return withPlugin(values, 'check', check)
    case 'evict':
      return withPlugin(values, 'evict from', (plugin) => evict(plugin, values, operands))
    default:
      throw new UsageError('the command must be check, evict or keys generate; --help says more')
  }
}

async function check(plugin: KeyvCachePlugin): Promise<Result> {
  const { supported, milliseconds, warnings } = await plugin.checkStore()
  const lines = warnings.map(({ code, message }) => `${code}: ${message}`)
  const verdict = supported ? 'it is supported' : 'it is not supported'
  return {
    exitCode: supported ? DONE : NOT_CONFIRMED,
    text: [`${verdict}, and answered in ${Math.round(milliseconds)} ms`, ...lines].join('\n'),
    details: { supported, milliseconds, warnings },
  }
}

async function evict(
  plugin: KeyvCachePlugin,
  { tenant, 'object-id': objectId }: Arguments['values'],
  operands: readonly string[],
): Promise<Result> {
  const [homeAccountId, ...more] = operands
  const isUser = tenant !== undefined && objectId !== undefined && operands.length === 0
  if (
    !isUser &&
    (homeAccountId === undefined || more.length > 0 || tenant !== undefined || objectId !== undefined)
  ) {
    throw new UsageError('evict takes a home account id, or --tenant and --object-id')
  }
  let unreadable = 0
  subscribe('msal-keyv:unreadable-record', () => unreadable++)
  const evictions = isUser
    ? await plugin.evictDirectoryUser(tenant, objectId)
    : [await plugin.evictAccount(homeAccountId ?? '')]
  const found = evictions.filter(({ existed }) => existed).length
  const details = { accounts: evictions.length, found, unreadable }
  if (unreadable > 0) {
    const text =
      'not confirmed: records could not be read. Set MSAL_KEYV_ENCRYPTION_KEYS to the keys of the application'
    return { exitCode: NOT_CONFIRMED, text, details }
  }
  if (found === 0) {
    const text =
      'nothing found: nobody is signed in by that name. Compare --client-id, --namespace and the key secret'
    return { exitCode: NOTHING_FOUND, text, details }
  }
  return { exitCode: DONE, text: `evicted: ${found} account${found === 1 ? '' : 's'}`, details }
}

async function withPlugin(
  values: Arguments['values'],
  intent: string,
  act: (plugin: KeyvCachePlugin) => Promise<Result>,
): Promise<Result> {
  const { MSAL_KEYV_STORE: secretStore, MSAL_KEYV_KEY_SECRET: keySecret } = process.env
  const clientId = values['client-id'] ?? ''
  if (clientId === '') throw new UsageError('--client-id is missing')
  const urls = secretStore ? secretStore.split(' ') : (values.store ?? [])
  if (urls.length === 0) throw new UsageError('--store is missing, and MSAL_KEYV_STORE')
  if (!secretStore && urls.some((url) => URL.canParse(url) && new URL(url).password !== '')) {
    throw new UsageError(
      '--store has a password, which other users of this machine can see: set MSAL_KEYV_STORE',
    )
  }
  const { cluster, 'sentinel-master': sentinelMaster, namespace } = values
  const { keyv, disconnect } = await openStore({ url: urls, cluster, sentinelMaster })
  const options = {
    store: keyv,
    clientId,
    namespace,
    keySecret,
    encryptionKeys: keys(),
    storeTimeout: STORE_TIMEOUT,
  }
  const plugin = new KeyvCachePlugin(options)
  if (!values.json)
    process.stdout.write(`${intent} ${urls.map(withoutPassword).join(' ')}, client id ${clientId}\n`)
  try {
    return await act(plugin)
  } finally {
    await disconnect()
  }
}

function keys(): KeyvCachePluginOptions['encryptionKeys'] {
  const text = process.env.MSAL_KEYV_ENCRYPTION_KEYS
  return text ? ((parseJson(text) ?? 'not JSON') as EncryptionKey[]) : undefined
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//')
}

/** Its own words alone: what a driver or a parser throws may quote what it was given. */
function failed(error: unknown): Result {
  const isUsage =
    error instanceof UsageError || error instanceof TypeError || error instanceof ConfigurationError
  const words = isUsage || error instanceof MsalKeyvError ? causesOf(error).join(': ') : 'the command failed'
  const text = isUsage ? words : `not confirmed: ${words}`
  return { exitCode: isUsage ? WRONG_USAGE : NOT_CONFIRMED, text, details: { error: words } }
}

/** The causes of this library's errors quote nothing either. */
function causesOf(error: Error): string[] {
  return [error.message, ...(error.cause instanceof Error ? causesOf(error.cause) : [])]
}

const args = process.argv.slice(2)
const { exitCode, text, details } = await Promise.resolve(args)
  .then((given) => run(parse(given)))
  .catch(failed)
const output = exitCode === DONE || exitCode === NOTHING_FOUND ? process.stdout : process.stderr
if (args.includes('--json')) process.stdout.write(`${JSON.stringify({ exitCode, ...details })}\n`)
else output.write(`${text}\n`)
process.exitCode = exitCode
