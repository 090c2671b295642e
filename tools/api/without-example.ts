/** What hosts can call and whose doc comment knowingly has no `@example`. */
export const knownWithoutExample: ReadonlySet<string> = new Set([
  // MSAL calls them, and no host does.
  'KeyvCachePlugin.afterCacheAccess',
  'KeyvCachePlugin.beforeCacheAccess',
  // The library calls them, and no host does.
  'RedisConnectionStore.delete',
  'RedisConnectionStore.getMany',
  'RedisConnectionStore.getRaw',
  'RedisConnectionStore.on',
  'RedisConnectionStore.set',
  'RedisConnectionStore.setMany',
])
