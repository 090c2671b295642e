/** What is made of a key, so that it need not be made again: at most so many, the oldest leave first. */
export class Memo<Value> {
  readonly #most: number
  readonly #made = new Map<string, Value>()

  constructor(most: number) {
    this.#most = most
  }

  get(key: string, make: () => Value): Value {
    const known = this.#made.get(key)
    if (known !== undefined) return known
    const made = make()
    const [oldest] = this.#made.size >= this.#most ? this.#made.keys() : []
    if (oldest !== undefined) this.#made.delete(oldest)
    this.#made.set(key, made)
    return made
  }
}
