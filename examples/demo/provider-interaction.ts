import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type Provider from 'oidc-provider'
import { loginPage } from './page/login-page.ts'

/** The page between an authorization request and its answer: sign in, and consent to all that is asked. */
export async function interact(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const { params, session } = await provider.interactionDetails(request, response)
    const client = String(params.client_id)
    const scope = String(params.scope)
    if (request.method !== 'POST') {
      response.setHeader('content-type', 'text/html; charset=utf-8')
      response.setHeader('content-security-policy', contentSecurityPolicy)
      response.end(loginPage({ client, scope, name: session?.accountId }))
      return
    }
    const accountId = new URLSearchParams(await text(request)).get('name')?.trim()
    if (!accountId) {
      response.writeHead(303, { location: request.url }).end()
      return
    }
    const grant = new provider.Grant({ accountId, clientId: client })
    grant.addOIDCScope(scope)
    await provider.interactionFinished(request, response, {
      login: { accountId },
      consent: { grantId: await grant.save() },
    })
  } catch (error) {
    const reason = error instanceof Error ? error.message : error
    response.writeHead(400, { 'content-type': 'text/plain' })
    response.end(`Please go back to the app and start again (${reason}).\n`)
  }
}

/** Of the provider's own pages, whose forms end at an app on this machine. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  "style-src 'self'",
  "img-src 'self'",
  "form-action 'self' http://127.0.0.1:*",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')
