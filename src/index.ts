export type { AuthorizationResponse } from './clients/authorization-response.ts'
export type { PendingSignIn, SignInRequest } from './clients/pending-sign-in.ts'
export type { AppTokenRequest, CodeRequest, SignOutRequest, SilentRequest } from './clients/requests.ts'
export type {
  AbortSignalLike,
  AccessToken,
  GetTokenOptions,
  TokenCredential,
} from './clients/token-credential.ts'
export { ConfidentialClients } from './clients.ts'
export { type DiagnosticsEvents, TRACES, type Trace, type UnreadableRecordReason } from './diagnostics.ts'
export {
  AccountEvictedError,
  AuthenticationRequiredError,
  AuthorizationResponseError,
  ConfigurationError,
  EvictionError,
  LogoutCallbackError,
  MsalKeyvError,
  type MsalKeyvErrorCode,
  type StoreOperation,
  StoreUnavailableError,
} from './errors.ts'
export type { BackChannelCallback } from './logout/back-channel.ts'
export type { ForeignCallback, FrontChannelCallback } from './logout/front-channel.ts'
export type { EvictedSession, LogoutOutcome } from './logout/outcome.ts'
export { type LogoutCallback, type LogoutOptions, parseLogoutCallback } from './logout/parse.ts'
export { parsePostLogout } from './logout/post-logout.ts'
export type { LogoutRequest, LogoutRequestHeaders } from './logout/request.ts'
export { createLogoutUrl, type LogoutUrlParameters } from './logout/url.ts'
export { LogoutHandler } from './logout-handler.ts'
export type { KeyvCachePluginOptions } from './options.ts'
export type { AccountRef, HostSession } from './partitions/identity.ts'
export type { Eviction } from './partitions/repository.ts'
export { KeyvCachePlugin } from './plugin.ts'
export type { StoreCheck, StoreWarning } from './store/check.ts'
export { type EncryptionKey, generateEncryptionKey } from './store/encryption-keys.ts'
export type { KeyvLike } from './store/keyv-store.ts'
export {
  type IoredisConnection,
  type NodeRedisConnection,
  RedisConnectionStore,
} from './store/redis-connection-store.ts'
