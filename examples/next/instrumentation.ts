import { clients } from './clients.ts'

/** At the start: without its settings or its store, this server does not start, and whatever runs it tries again. */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME === 'nodejs') {
    await clients().catch((error) => {
      console.error(error)
      process.exit(1) // Next.js would go on, and answer every request with this error
    })
  }
}
