import { crc32 } from 'node:zlib'

/**
 * What tells one stored text from another. Of a sealed record it is the text itself; of a plaintext record, which has
 * refresh tokens in clear, its header and a checksum, so that it holds no secret: who
 * keeps it has to keep a copy, since V8 keeps the whole record for the sake of the header that was cut out of it.
 * @returns undefined for anything but a string
 */
export function fingerprintOf(stored: unknown): string | undefined {
  if (typeof stored !== 'string') return undefined
  if (!stored.startsWith('{')) return stored
  return `${stored.slice(0, stored.indexOf('\n'))} ${checksumOf(stored)}`
}

/** Length and CRC-32: enough for a text whose writer is known, and not against a forger. */
export function checksumOf(text: string): string {
  return `${text.length} ${crc32(text)}`
}
