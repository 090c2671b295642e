import type { Schedule } from './explorer.ts'

/**
 * A connection of `actor` to the store that all share. Each single read and write of an account's partition (p) and
 * generation (g) waits for its turn while `isStepped`, those of a `getMany` included.
 */
export function steppedAdapter(
  map: Map<string, string>,
  { schedule, actor, isStepped }: { schedule: Schedule; actor: string; isStepped: () => boolean },
) {
  const step = <Result>(does: string, key: string, effect: () => Result): Promise<Result> =>
    isStepped() && /_[pg]$/.test(key)
      ? schedule.step(actor, `${does} ${key.slice(-1)}`, effect)
      : Promise.resolve(effect())
  const get = (key: string) => step('reads', key, () => map.get(key))
  return {
    get,
    async getMany(keys: string[]) {
      const values: (string | undefined)[] = []
      for (const key of keys) values.push(await get(key))
      return values
    },
    set: (key: string, value: string) => step('writes', key, () => map.set(key, value)),
    delete: (key: string) => step('deletes', key, () => map.delete(key)),
    clear: () => Promise.reject(new Error('never to be called')),
    // By which it counts as an adapter whose failures are seen, so that it is read in batches.
    query() {},
    opts: { dialect: 'sqlite' },
  }
}
