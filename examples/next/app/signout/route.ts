import { clients } from '../../clients.ts'
import { redirect, route } from '../../route.ts'
import { openSession, signedIn } from '../../session.ts'

// A POST, which no other site can send with a SameSite=Lax cookie.
export const POST = route(async () => {
  const { msal, signOutRequest } = await clients()
  const account = await signedIn()
  if (account === undefined) return redirect('/')
  const url = await msal.signOut(account, signOutRequest)
  const session = await openSession()
  session.destroy()
  return redirect(url?.href ?? '/')
})
