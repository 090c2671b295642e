/**
 * What this library needs of a Keyv instance. Keyv 5 (from 5.6) and 6 fit; their two `Keyv` classes are not
 * assignable to each other, hence a structural type.
 */
export interface KeyvLike {
  getRaw(key: string): Promise<unknown>
  getMany(keys: string[]): Promise<unknown>
  set(key: string, value: string, ttl: number): Promise<unknown>
  setMany?(entries: { key: string; value: string; ttl: number }[]): Promise<unknown>
  delete(key: string): Promise<unknown>
  deleteMany?(keys: string[]): Promise<unknown>
  on(event: 'error', listener: (error: unknown) => void): unknown
}
