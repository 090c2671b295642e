import { clients } from '../../clients.ts'
import { redirect, route } from '../../route.ts'
import { openSession } from '../../session.ts'

export const GET = route(async (request) => {
  const { msal } = await clients()
  const session = await openSession()
  const { pending } = session
  delete session.pending // good for one response
  await session.save()
  const { session: account } = await msal.completeSignIn(pending, new URL(request.url).searchParams)
  session.account = account
  await session.save()
  return redirect('/')
})
