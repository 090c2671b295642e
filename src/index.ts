import './node-version.ts'

export type { Eviction } from './accounts/accounts.ts'
export type { AccountRef, HostSession } from './accounts/identity.ts'
export type { SessionInfo } from './accounts/sessions.ts'
export type { RememberedAnswersOptions } from './clients/remembered-answers.ts'
export type { AuthorizationResponse, PendingSignIn, SignedIn, SignInRequest } from './clients/sign-in.ts'
export type { SignOutRequest } from './clients/sign-out.ts'
export type {
  AbortSignalLike,
  AccessToken,
  GetTokenOptions,
  TokenCredential,
} from './clients/token-credential.ts'
export { ConfidentialClients, type ConfidentialClientsOptions } from './clients.ts'
export { type DiagnosticsEvents, TRACES, type Trace, type UnreadableRecordReason } from './diagnostics.ts'
export {
  AccountEvictedError,
  AuthenticationRequiredError,
  AuthorizationResponseError,
  ConfigurationError,
  EvictionError,
  GraphNotificationError,
  LogoutCallbackError,
  MsalKeyvError,
  type MsalKeyvErrorCode,
  type StoreOperation,
  StoreUnavailableError,
} from './errors.ts'
export * from './graph/index.ts'
export type { SilentRequest } from './kinds/account.ts'
export type { AppTokenRequest } from './kinds/app.ts'
export type { LongRunningRequest } from './kinds/long-running.ts'
export type { BackChannelCallback } from './logout/back-channel.ts'
export type { EndedSession, LogoutOutcome } from './logout/outcome.ts'
export {
  type ForeignCallback,
  type FrontChannelCallback,
  type LogoutCallback,
  type LogoutOptions,
  parseLogoutCallback,
  parsePostLogout,
} from './logout/parse.ts'
export type { CallbackRequest, CallbackRequestHeaders } from './logout/request.ts'
export { createLogoutUrl, type LogoutUrlParameters } from './logout/url.ts'
export { LogoutHandler, type LogoutHandlerOptions } from './logout.ts'
export * from './migrate/index.ts'
export type { KeyvCachePluginOptions } from './options.ts'
export { KeyvCachePlugin, type PluginLike } from './plugin.ts'
export { type EncryptionKey, generateEncryptionKey } from './records/encryption-keys.ts'
export * from './redis/index.ts'
export type { KeyvLike } from './store/adapter.ts'
export type { StoreCheck, StoreWarning } from './store/check.ts'
