/** What hosts can call and whose doc comment knowingly has no `@example`. */
export const knownWithoutExample: ReadonlySet<string> = new Set([
  // MSAL calls them, and no host does.
  'KeyvCachePlugin.afterCacheAccess',
  'KeyvCachePlugin.beforeCacheAccess',
  // To be written.
  'ConfidentialClients.acquireTokenByClientCredential',
  'ConfidentialClients.acquireTokenInLongRunningProcess',
  'ConfidentialClients.acquireTokenOnBehalfOf',
  'ConfidentialClients.acquireTokenSilent',
  'ConfidentialClients.credentialForApp',
  'ConfidentialClients.forAccount',
  'ConfidentialClients.forApp',
  'ConfidentialClients.forAssertion',
  'ConfidentialClients.forSignIn',
  'ConfidentialClients.getAuthCodeUrl',
  'ConfidentialClients.signOut',
  'KeyvCachePlugin.checkStore',
  'KeyvCachePlugin.evictAccount',
  'KeyvCachePlugin.forAccount',
  'KeyvCachePlugin.forApp',
  'KeyvCachePlugin.forAssertion',
  'KeyvCachePlugin.forLongRunningProcess',
  'KeyvCachePlugin.isSignedIn',
  'KeyvCachePlugin.openSession',
  'LogoutHandler.handle',
  'LogoutHandler.parse',
  'generateEncryptionKey',
])
