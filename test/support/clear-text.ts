const BASE64_DIGITS = 6

/**
 * The ways in which a text can stand in another: as it is, in hex, and in base64 and base64url at each of the three
 * places within a group of three bytes, without the digits that its neighbours have a part in.
 */
export function formsOf(text: string | Buffer): string[] {
  const bytes = Buffer.from(text)
  const forms = new Set([
    bytes.toString('latin1'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
  ])
  for (const offset of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes])
    const first = Math.ceil((offset * 8) / BASE64_DIGITS)
    const last = Math.floor((shifted.length * 8) / BASE64_DIGITS)
    for (const encoding of ['base64', 'base64url'] as const) {
      forms.add(shifted.toString(encoding).slice(first, last))
    }
  }
  return [...forms]
}

const PIECE = 24

/** Which of the named texts, or of pieces from their beginning, middle and end, stand in a text in any form. */
export function namesFoundIn(haystack: string, named: Record<string, string | Buffer>): string[] {
  return Object.keys(named).filter((name) => {
    const bytes = Buffer.from(named[name] ?? '')
    if (bytes.length < 8) throw new Error(`${name} is too short to be looked for`)
    const middle = (bytes.length - PIECE) >> 1
    const pieces =
      bytes.length <= PIECE
        ? [bytes]
        : [0, middle, bytes.length - PIECE].map((start) => bytes.subarray(start, start + PIECE))
    return pieces.some((piece) => formsOf(piece).some((form) => haystack.includes(form)))
  })
}
