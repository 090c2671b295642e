import { AsyncLocalStorage } from 'node:async_hooks'
import type { KeyvLike } from '../../src/index.ts'
import { type Commit, now } from './history.ts'

interface Observation {
  readAt: number
  readonly commits: Commit[]
}

/** Notes which operation writes accounts' records when, and when it last read before. */
export class ObservedCommits {
  readonly #operations = new AsyncLocalStorage<Observation>()

  /** Watches a store from here on. */
  watch(store: KeyvLike): void {
    const { getMany, set, setMany } = store
    store.getMany = (keys) => {
      const operation = this.#operations.getStore()
      if (operation !== undefined) operation.readAt = now()
      return getMany.call(store, keys)
    }
    store.set = (key, ...rest) => this.#commit([key], () => set.call(store, key, ...rest))
    if (setMany === undefined) return
    store.setMany = (entries) =>
      this.#commit(
        entries.map(({ key }) => key),
        () => setMany.call(store, entries),
      )
  }

  async during<Result>(operation: () => Promise<Result>): Promise<{ result: Result; commits: Commit[] }> {
    const observation: Observation = { readAt: now(), commits: [] }
    const result = await this.#operations.run(observation, operation)
    return { result, commits: observation.commits.slice() }
  }

  async #commit(keys: readonly string[], write: () => Promise<unknown>): Promise<unknown> {
    const operation = this.#operations.getStore()
    if (operation === undefined || !keys.some((key) => key.endsWith('_p'))) return write()
    const { commits, readAt } = operation
    const begin = now()
    const index = commits.push({ readAt, begin }) - 1
    const written = await write()
    commits[index] = { readAt, begin, end: now() }
    return written
  }
}
