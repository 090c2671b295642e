import { clients } from '../../clients.ts'
import { route } from '../../route.ts'

// The provider calls it without a cookie of yours.
const handle = route(async (request) => {
  const { logout } = await clients()
  const outcome = await logout.handle(request)
  return new Response(outcome.body, outcome)
})

export { handle as GET, handle as POST }
