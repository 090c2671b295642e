import { clients } from '../../clients.ts'

// The provider calls it without a cookie of yours.
async function handle(request: Request): Promise<Response> {
  const { logout } = await clients()
  const outcome = await logout.handle(request)
  return new Response(outcome.body, outcome)
}

export { handle as GET, handle as POST }
