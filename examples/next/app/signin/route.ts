import { clients } from '../../clients.ts'
import { redirect, route } from '../../route.ts'
import { openSession } from '../../session.ts'

export const GET = route(async () => {
  const { msal, signInRequest } = await clients()
  const { url, pending } = await msal.beginSignIn(signInRequest)
  const session = await openSession()
  session.pending = pending
  await session.save()
  return redirect(url)
})
