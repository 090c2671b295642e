import { trace } from '../diagnostics.ts'
import { EvictionError, StoreUnavailableError } from '../errors.ts'
import type { KeyNames } from '../records/key-names.ts'
import { type Records, recordIn } from '../records/records.ts'
import { generationRecord, newGeneration } from './generation.ts'
import { liveProcesses } from './processes.ts'

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

/**
 * Ends sign-ins for good: first the fence, a generation record that invalidates all that was or will be written under
 * another generation; then all that is dead and can be found is deleted. Three store calls, for however many accounts.
 */
export class Evictions {
  readonly #records: Records
  readonly #names: KeyNames

  constructor(records: Records, names: KeyNames) {
    this.#records = records
    this.#names = names
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
    const keys = ids.map((id) => this.#names.account(id))
    const fences = keys.map(({ generation }) => generationRecord(generation, newGeneration()))
    await this.#records.writePlain(fences).catch((error: unknown) => fail(error, false))
    try {
      const dead: string[] = []
      const evictedAt = new Date()
      const values = await this.#records.readRaw(
        keys.flatMap((each) => [each.partition, each.processes, each.onBehalfOf]),
      )
      const evictions = ids.map((homeAccountId, index) => {
        const { partition = '', processes = '', onBehalfOf = '' } = keys[index] ?? {}
        const [value, list, mark] = values.slice(3 * index)
        const running = liveProcesses(recordIn(this.#records.open(list, processes)))
        dead.push(partition, ...running.map(({ key }) => key))
        if (list !== undefined) dead.push(processes)
        if (mark !== undefined) dead.push(onBehalfOf)
        const existed = value !== undefined || mark !== undefined || running.length > 0
        return { homeAccountId, evictedAt, existed }
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
