/**
 * What sealing costs, beside the same cipher without a subkey per record, and beside jose's JWE.
 * `npx node bench/sealing.ts`
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { cpus } from 'node:os'
import { CompactEncrypt, compactDecrypt } from 'jose'
import josePackage from 'jose/package.json' with { type: 'json' }
import Keyv from 'keyv'
import { KeyvCachePlugin } from '../src/index.ts'
import { generateEncryptionKey, resolveEncryptionKeys } from '../src/records/encryption-keys.ts'
import { Sealing } from '../src/records/sealing.ts'
import { CLIENT_ID, EntraStandIn } from '../test/support/entra.ts'
import { keysOf, storedText } from '../test/support/stored.ts'

const ROUNDS = 15
const CALLS = 1000
const BUDGET = 40

const entra = new EntraStandIn()
const store = new Keyv()
const user = entra.user()
await entra.signIn(entra.client(new KeyvCachePlugin({ store, clientId: CLIENT_ID })), user)
const record = await storedText(store, user.homeAccountId)
const recordKey = keysOf(user.homeAccountId).partition

const encryptionKey = generateEncryptionKey()
const bytes = Buffer.from(encryptionKey.key, 'base64url')
const encryptionKeys = resolveEncryptionKeys([encryptionKey])
const sealing = new Sealing({ encryptionKeys, allowPlaintext: false })
const secret = encryptionKeys?.[0].key ?? fail()

function fail(): never {
  throw new Error('what was sealed does not open')
}

function sealPlainly(text: string): string {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', secret, iv)
  cipher.setAAD(Buffer.from(recordKey))
  return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
    'base64url',
  )
}

function openPlainly(sealed: string): string {
  const all = Buffer.from(sealed, 'base64url')
  const decipher = createDecipheriv('aes-256-gcm', secret, all.subarray(0, 12))
  decipher.setAAD(Buffer.from(recordKey))
  decipher.setAuthTag(all.subarray(-16))
  return decipher.update(all.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8')
}

function encrypt(text: string): Promise<string> {
  const header = { alg: 'dir', enc: 'A256GCM', kid: encryptionKey.id }
  return new CompactEncrypt(Buffer.from(text)).setProtectedHeader(header).encrypt(bytes)
}

async function decrypt(jwe: string): Promise<string> {
  return new TextDecoder().decode((await compactDecrypt(jwe, bytes)).plaintext)
}

const sealed = sealing.seal(record, recordKey)
const sealedPlainly = sealPlainly(record)
const jwe = await encrypt(record)
const opened = sealing.open(sealed, recordKey)
if (!('plaintext' in opened) || opened.plaintext !== record) fail()
if (openPlainly(sealedPlainly) !== record || (await decrypt(jwe)) !== record) fail()

const contenders: Record<string, () => unknown> = {
  'Sealing: seal': () => sealing.seal(record, recordKey),
  'Sealing: open': () => sealing.open(sealed, recordKey),
  'hkdfSync, for comparison': () => hkdfSync('sha256', secret, '', `msal-keyv.seal.v1.${recordKey}`, 32),
  'AES-256-GCM alone: seal': () => sealPlainly(record),
  'AES-256-GCM alone: open': () => openPlainly(sealedPlainly),
  'jose JWE (dir, A256GCM): encrypt': () => encrypt(record),
  'jose JWE (dir, A256GCM): decrypt': () => decrypt(jwe),
}

/** Microseconds per call. */
async function round(run: () => unknown): Promise<number> {
  const start = performance.now()
  for (let call = 0; call < CALLS; call++) {
    const result = run()
    if (result instanceof Promise) await result
  }
  return ((performance.now() - start) * 1000) / CALLS
}

const times = Object.fromEntries(Object.keys(contenders).map((name): [string, number[]] => [name, []]))
for (let n = -2; n < ROUNDS; n++) {
  for (const [name, run] of Object.entries(contenders)) {
    const time = await round(run)
    if (n >= 0) times[name]?.push(time) // The first rounds warm up.
  }
}

const rows = Object.entries(times).map(([name, all]) => {
  const sorted = all.toSorted((a, b) => a - b)
  const [fastest, median, slowest] = [0, ROUNDS >> 1, ROUNDS - 1].map((at) => sorted[at] ?? Number.NaN)
  return { name, fastest, median, slowest }
})

const format = (time = Number.NaN) => time.toFixed(1).padStart(8)
console.log(`node ${process.version}, OpenSSL ${process.versions.openssl}, jose ${josePackage.version}`)
console.log(`${cpus()[0]?.model.trim()}, ${cpus().length} cores`)
console.log(`a partition of ${record.length} bytes, sealed ${sealed.length}, JWE ${jwe.length}`)
console.log(`µs per call, ${ROUNDS} interleaved rounds of ${CALLS} calls\n`)
console.log(`${''.padEnd(34)}  median  fastest  slowest`)
for (const { name, fastest, median, slowest } of rows) {
  console.log(`${name.padEnd(34)}${format(median)} ${format(fastest)} ${format(slowest)}`)
}
const open = rows.find(({ name }) => name === 'Sealing: open')?.median ?? Number.NaN
console.log(`\nwhat a silent hit pays: ${open.toFixed(1)} µs of at most ${BUDGET}`)
if (!(open <= BUDGET)) process.exitCode = 1
