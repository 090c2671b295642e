import type { IncomingMessage } from 'node:http'

/** The headers of a {@link LogoutRequest}: a web `Headers`, or names and values, names in any letter case. */
export type LogoutRequestHeaders =
  | { get(name: string): string | null }
  | { readonly [name: string]: string | readonly string[] | undefined }

/**
 * A request as the host's framework has it: a web `Request` (Hono, Next.js, Remix …), a Node `IncomingMessage`
 * (`node:http`, Express, Koa's `ctx.req`), or anything with these members, such as Fastify's request.
 *
 * `url` is absolute, or a path; only its query matters. `body` is a string, a `Buffer`, `URLSearchParams`, `FormData`
 * or the object that a body parser made of it; without it, the body of an `IncomingMessage` is read here.
 * Without `headers`, the content type is not checked.
 */
export type LogoutRequest =
  | Request
  | IncomingMessage
  | { method: string; url: string; headers?: LogoutRequestHeaders | undefined; body?: unknown }
