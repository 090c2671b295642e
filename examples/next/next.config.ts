import type { NextConfig } from 'next'

const config: NextConfig = {
  cacheComponents: true, // as in a new project of create-next-app; the code works without it too
  // Bundled, each route would have its own copies, and `instanceof` would not know the errors of another's.
  serverExternalPackages: ['msal-keyv', '@azure/msal-node', 'keyv', '@keyv/redis'],
}

export default config
