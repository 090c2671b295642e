import { getIronSession, type IronSession } from 'iron-session'
import type { HostSession, PendingSignIn } from 'msal-keyv'
import { cookies } from 'next/headers'
import { connection } from 'next/server'
import { clients } from './clients.ts'

interface SessionData {
  pending: PendingSignIn
  account: HostSession
}

/**
 * The browser's session, in a cookie that only this server can read. Somebody may keep an old cookie, but the account in
 * it is asked after every time: one that was signed out is out, and stays out.
 */
export async function openSession(): Promise<IronSession<SessionData>> {
  await connection() // first: Next.js must not render a page with a session ahead of time
  const { baseUrl, sessionSecret } = await import('./settings.ts')
  return getIronSession<SessionData>(await cookies(), {
    cookieName: 'session',
    password: sessionSecret,
    cookieOptions: { sameSite: 'lax', secure: baseUrl.startsWith('https:') },
  })
}

/** The account that is signed in here. */
export async function signedIn(): Promise<HostSession | undefined> {
  const { account } = await openSession()
  const { msal } = await clients()
  return account && (await msal.plugin.isSignedIn(account)) ? account : undefined
}
