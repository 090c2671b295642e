import { report } from '../diagnostics.ts'

/** The most issuers that are kept in mind: one for each tenant that signs in. */
const MOST_SEEN = 100

/**
 * The issuers of this process's sign-ins, beside those whose logout callbacks it takes. A handler for an issuer that no
 * ID token has, by a trailing slash or another version, would find nobody, and nobody would learn of it.
 */
export class Issuers {
  readonly #seen = new Set<string>()
  readonly #handled: ((issuer: string) => boolean)[] = []

  /** A logout handler takes callbacks of the issuers that this matches. */
  handle(matches: (issuer: string) => boolean): void {
    this.#handled.push(matches)
  }

  /** A sign-in of this issuer was stored. */
  see(issuer: string): void {
    if (this.#seen.has(issuer) || this.#seen.size >= MOST_SEEN) return
    this.#seen.add(issuer)
    if (this.#handled.length > 0 && !this.#handled.some((matches) => matches(issuer))) {
      report('msal-keyv:issuer-mismatch', { issuer })
    }
  }

  /** An issuer that was seen, where no handler takes callbacks of any that was; else undefined. */
  get mismatch(): string | undefined {
    const [first] = this.#seen
    const isHandled = [...this.#seen].some((issuer) => this.#handled.some((matches) => matches(issuer)))
    return isHandled ? undefined : first
  }
}
