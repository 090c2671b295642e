import { type CacheKVStore, TokenCache, TokenCacheContext } from '@azure/msal-node'

/**
 * MSAL Node at its strictest, as announced: what `getKVStore` returns is a copy that nobody can change, and a context
 * says that the cache has changed once something was loaded into it.
 */
function seal(): void {
  const { getKVStore, deserialize } = TokenCache.prototype
  const loads = new WeakMap<TokenCache, number>()
  const seen = new WeakMap<TokenCacheContext, number>()
  const hasChanged = Object.getOwnPropertyDescriptor(TokenCacheContext.prototype, 'cacheHasChanged')?.get
  if (hasChanged === undefined) throw new Error('TokenCacheContext has no cacheHasChanged to seal')

  TokenCache.prototype.getKVStore = function sealed(): CacheKVStore {
    return freeze(structuredClone(Reflect.apply(getKVStore, this, [])))
  }
  TokenCache.prototype.deserialize = function counted(cache: string): void {
    if (cache !== '') loads.set(this, (loads.get(this) ?? 0) + 1)
    Reflect.apply(deserialize, this, [cache])
  }
  Object.defineProperty(TokenCacheContext.prototype, 'cacheHasChanged', {
    get(this: TokenCacheContext) {
      const now = loads.get(this.tokenCache as TokenCache) ?? 0
      const then = seen.get(this) ?? now
      seen.set(this, then)
      return Boolean(Reflect.apply(hasChanged, this, [])) || now > then
    },
  })
}

function freeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(freeze)
  return Object.freeze(value)
}

// Files that share a worker share its MSAL: sealed once is enough.
const SEALED = Symbol.for('sealed for the tests')
if (!(SEALED in TokenCache.prototype)) {
  seal()
  Object.assign(TokenCache.prototype, { [SEALED]: true })
}
