import { connection } from 'next/server'
import { answerTo } from './answers.ts'

type Handler = (request: Request) => Promise<Response>

/** A route handler whose errors are answered as errors of the app. */
export function route(handle: Handler): Handler {
  return async (request) => {
    await connection() // with cacheComponents, Next.js would run the handler while it builds
    try {
      return await handle(request)
    } catch (error) {
      const answer = answerTo(error)
      return new Response(answer.body, answer)
    }
  }
}

export function redirect(location: string): Response {
  return new Response(null, { status: 303, headers: { location } })
}
