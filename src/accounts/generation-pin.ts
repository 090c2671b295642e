import type { CurrentGeneration } from './generation.ts'

/**
 * The one generation that a plugin belongs to: the host session's, or else that of its first load. Once a later load
 * finds another, the sign-in has ended, and stays ended (P3): a refresh that began before an eviction cannot write into
 * the sign-in after it.
 */
export class GenerationPin {
  #generation: string | undefined
  #isEnded = false

  /** @param generation of the host's session */
  constructor(generation?: string | undefined) {
    this.#generation = generation
  }

  /** Undefined until a load has found one. */
  get generation(): string | undefined {
    return this.#generation
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Nothing is to be shown any more. */
  end(): void {
    this.#isEnded = true
  }

  /** A sign-in through the plugin makes it belong to that one. */
  join(generation: string): void {
    this.#generation ??= generation
  }

  /**
   * Whether what a load found may be shown.
   * @param stored the generation of the valid record, if there is one
   */
  admits(stored: string | undefined, current: CurrentGeneration): boolean {
    const found = current.kind === 'known' ? current.id : stored
    if (this.#generation === undefined) this.#generation = found
    else if (current.kind === 'unreadable' || (found !== undefined && found !== this.#generation)) {
      this.#isEnded = true
    }
    return !this.#isEnded
  }
}
