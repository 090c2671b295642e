type Clients = typeof import('./msal.ts')

// One for the process: Next.js may load a module once for each route.
const shared = globalThis as { clients?: Promise<Clients> }

/** When they are needed, and not while Next.js builds: the environment is that of the server. */
export function clients(): Promise<Clients> {
  shared.clients ??= import('./msal.ts')
  return shared.clients
}
