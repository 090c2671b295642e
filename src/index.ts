import './node-version.ts'

export type { Eviction } from './accounts/accounts.ts'
export type { AccountRef, HostSession } from './accounts/identity.ts'
export type { SessionInfo } from './accounts/sessions.ts'
export type { AuthorizationResponse, PendingSignIn, SignedIn, SignInRequest } from './clients/sign-in.ts'
export type { SignOutRequest } from './clients/sign-out.ts'
export type { TokenCredential } from './clients/token-credential.ts'
export { ConfidentialClients, type ConfidentialClientsOptions } from './clients.ts'
export type { DiagnosticsEvents } from './diagnostics.ts'
export {
  AccountEvictedError,
  AuthenticationRequiredError,
  AuthorizationResponseError,
  ConfigurationError,
  EvictionError,
  LogoutCallbackError,
  MsalKeyvError,
  type MsalKeyvErrorCode,
  StoreUnavailableError,
} from './errors.ts'
export type { SilentRequest } from './kinds/account.ts'
export type { AppTokenRequest } from './kinds/app.ts'
export type { LongRunningRequest } from './kinds/long-running.ts'
export type { BackChannelCallback } from './logout/back-channel.ts'
export type { LogoutOutcome } from './logout/outcome.ts'
export {
  type ForeignCallback,
  type FrontChannelCallback,
  type LogoutCallback,
  type LogoutOptions,
  parseLogoutCallback,
  parsePostLogout,
} from './logout/parse.ts'
export type { CallbackRequest } from './logout/request.ts'
export { createLogoutUrl, type LogoutUrlParameters } from './logout/url.ts'
export { LogoutHandler, type LogoutHandlerOptions } from './logout.ts'
export type { KeyvCachePluginOptions } from './options.ts'
export { KeyvCachePlugin, type PluginLike } from './plugin.ts'
export { type EncryptionKey, generateEncryptionKey } from './records/encryption-keys.ts'
export type { KeyvLike } from './store/adapter.ts'
export type { StoreCheck } from './store/check.ts'
