import { trace } from '../diagnostics.ts'
import { EvictionError, StoreUnavailableError } from '../errors.ts'
import { isLongRunning, type KeyNames } from '../records/key-names.ts'
import { type Records, recordIn } from '../records/records.ts'
import { generationRecord, newGeneration } from './generation.ts'
import { listedRecords } from './token-record-list.ts'

/** The outcome of an eviction that the store confirmed. */
export interface Eviction {
  homeAccountId: string
  evictedAt: Date
  /**
   * Whether the store had tokens of the account: its own, of its long-running processes, or acquired on its behalf.
   * What had ended before may count too, until it is deleted or expires.
   */
  existed: boolean
}

/** Forgets what it knows of an account. */
interface EvictionListener {
  forget(homeAccountId: string): void
}

/**
 * Ends sign-ins for good: first the fence, a generation record that invalidates all that was or will be written under
 * another generation; then all that is dead and can be found is deleted. Three store calls, for however many accounts.
 */
export class Evictions {
  readonly #records: Records
  readonly #names: KeyNames
  #listeners: readonly WeakRef<EvictionListener>[] = []

  constructor(records: Records, names: KeyNames) {
    this.#records = records
    this.#names = names
  }

  /** Tells of this process's evictions, as long as somebody else holds on to the listener. */
  tell(listener: EvictionListener): void {
    const listening = this.#listeners.filter((each) => each.deref() !== undefined)
    this.#listeners = [...listening, new WeakRef(listener)]
  }

  /** @throws {EvictionError} */
  evict(homeAccountIds: readonly string[]): Promise<Eviction[]> {
    const [first = ''] = homeAccountIds
    return trace(
      'msal-keyv:evict',
      { key: this.#names.account(first).partition },
      () => this.#evict(homeAccountIds),
      (evictions) => ({ existed: evictions.some(({ existed }) => existed) }),
    )
  }

  async #evict(homeAccountIds: readonly string[]): Promise<Eviction[]> {
    const ids = [...new Set(homeAccountIds)]
    for (const id of ids) for (const listener of this.#listeners) listener.deref()?.forget(id)
    const keys = ids.map((id) => this.#names.account(id))
    const fences = keys.map(({ generation }) => generationRecord(generation, newGeneration()))
    await this.#records.writeFences(fences).catch((error: unknown) => fail(error, false))
    try {
      const dead: string[] = []
      const evictedAt = new Date()
      const values = await this.#records.readRaw(keys.flatMap((each) => [each.partition, each.list]))
      const evictions = ids.map((homeAccountId, index) => {
        const { partition = '', list = '' } = keys[index] ?? {}
        const [value, listValue] = values.slice(2 * index)
        const listed = listedRecords(recordIn(this.#records.open(listValue, list)))
        // What an assertion acquired has no refresh token. It stays, to refuse the assertion, until it expires.
        dead.push(partition, ...listed.map(({ key }) => key).filter(isLongRunning))
        if (listValue !== undefined) dead.push(list)
        return { homeAccountId, evictedAt, existed: value !== undefined || listed.length > 0 }
      })
      await this.#records.delete(dead)
      return evictions
    } catch (error) {
      return fail(error, true)
    }
  }
}

function fail(error: unknown, fenced: boolean): never {
  throw error instanceof StoreUnavailableError ? new EvictionError({ fenced, cause: error }) : error
}
