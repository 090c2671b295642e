/** Which server a process is. */
export type Kind =
  | 'blob before'
  | 'blob after'
  | 'distributed before'
  | 'distributed after'
  | 'own before'
  | 'own after'
  | 'passport before'
  | 'passport after'

export interface Settings {
  readonly kind: Kind
  readonly redisUrl: string
  /** For a new server: whether old ones run, or have run, beside it. */
  readonly sideBySide: boolean
  /** The samples of docs/migrate.md, as modules. */
  readonly samples: Readonly<Record<SampleName, string>>
}

export type SampleName = 'blob' | 'back' | 'records' | 'own' | 'passport'

/** What a browser, or who runs the server, asks of it. `session` is the name of the browser's session. */
export type Request =
  | { readonly do: 'sign in'; readonly session: string; readonly code: string }
  /** Answered with an access token, or nothing for somebody who is signed out. */
  | { readonly do: 'token'; readonly session: string; readonly forceRefresh: boolean }
  | { readonly do: 'sign out'; readonly session: string }
  | { readonly do: 'import' }
  | { readonly do: 'export'; readonly sessions: readonly string[] }

/** One kind of server. */
export interface App {
  signIn(session: string, code: string): Promise<void>
  token(session: string, forceRefresh: boolean): Promise<string | undefined>
  signOut(session: string): Promise<void>
  import?(): Promise<void>
  export?(sessions: readonly string[]): Promise<void>
}
