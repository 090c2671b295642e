/** Ends a hold. Calling it again does nothing. */
export type Release = () => void

interface Tails<Key> {
  get(key: Key): Promise<void> | undefined
  set(key: Key, tail: Promise<void>): unknown
  delete(key: Key): boolean
}

/**
 * First-come-first-served locks within this process, one per key.
 *
 * They save work that would be lost, never safety: a caller that has waited long enough goes on without the
 * lock, so a holder that never releases delays others no longer than that.
 */
export class Locks<Key> {
  readonly #tails: Tails<Key>

  /** @param tails a `Map`, or a `WeakMap` where the keys are objects of the host's */
  constructor(tails: Tails<Key>) {
    this.#tails = tails
  }

  /** @param patience milliseconds to wait for those before */
  async acquire(key: Key, patience: number): Promise<Release> {
    const before = this.#tails.get(key)
    const { promise: released, resolve } = Promise.withResolvers<void>()
    this.#tails.set(key, released)
    if (before !== undefined) await within(before, patience)
    return () => {
      if (this.#tails.get(key) === released) this.#tails.delete(key)
      resolve()
    }
  }
}

async function within(event: Promise<void>, patience: number): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, patience)
  await Promise.race([event, over])
  clearTimeout(timer)
}
