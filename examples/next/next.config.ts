import type { NextConfig } from 'next'

const config: NextConfig = {
  // As in a new project of create-next-app. What is here works without them too.
  cacheComponents: true,
  partialPrefetching: true,
  // Bundled, each route would have its own copies, and `instanceof` would not know the errors of another's.
  serverExternalPackages: ['msal-keyv', '@azure/msal-node', 'keyv', '@keyv/redis'],
}

export default config
