import { ConfigurationError } from './errors.ts'
import { PACKAGE_VERSION } from './version.ts'

const REGISTRY = Symbol.for('msal-keyv')

/**
 * Several copies of this package can run in one process: the build for `import` beside the one for `require`, one in a
 * bundle, another version. This is made by the first that asks, and is the same for all of them.
 * @param name with the number of its protocol where copies of other versions may see it otherwise
 */
export function oneForAllCopies<Value extends object>(name: string, make: () => Value): Value {
  const holder = globalThis as { [REGISTRY]?: Map<string, object> }
  const registry = holder[REGISTRY] ?? new Map<string, object>()
  Object.defineProperty(holder, REGISTRY, { value: registry, configurable: true })
  const value = registry.get(name) ?? make()
  registry.set(name, value)
  return value as Value
}

interface Held<Value> {
  readonly protocol: string
  /** Of the copy that made it. */
  readonly version: string
  readonly value: Value
}

/** What this package knows of an object of the host's, whichever copy has made it. */
export class SharedKnowledge<Value> {
  readonly #of: string
  readonly #protocol: string
  readonly #held: WeakMap<object, Held<Value>>

  /**
   * @param of what the objects are, such as `plugin`
   * @param protocol differs where two copies cannot use each other's values
   */
  constructor(of: string, protocol: string) {
    this.#of = of
    this.#protocol = protocol
    this.#held = oneForAllCopies(of, () => new WeakMap<object, Held<Value>>())
  }

  /** @throws {ConfigurationError} when a copy made it whose protocol is another */
  get(owner: unknown): Value | undefined {
    const held = typeof owner === 'object' && owner !== null ? this.#held.get(owner) : undefined
    if (held === undefined || held.protocol === this.#protocol) return held?.value
    throw new ConfigurationError(
      `${this.#of} is used by msal-keyv ${held.version}, and this is msal-keyv ${PACKAGE_VERSION}: make it and use it by one ` +
        'version of the package',
    )
  }

  set(owner: object, value: Value): void {
    this.#held.set(owner, { protocol: this.#protocol, version: PACKAGE_VERSION, value })
  }
}
