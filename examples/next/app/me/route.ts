import { clients } from '../../clients.ts'
import { redirect, route } from '../../route.ts'
import { signedIn } from '../../session.ts'

export const GET = route(async () => {
  const { callApi, msal } = await clients()
  const { scopes } = await import('../../settings.ts')
  const account = await signedIn()
  if (account === undefined) return redirect('/signin')
  const { accessToken } = await msal.acquireTokenSilent(account, { scopes })
  return Response.json(await callApi(accessToken))
})
