// What the app says. This file is the same in every web app here.
import { AuthError, InteractionRequiredAuthError } from '@azure/msal-node'
import { AuthorizationResponseError, EvictionError, StoreUnavailableError } from 'msal-keyv'

export interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
}

export function homePage(isSignedIn: boolean): string {
  if (!isSignedIn) return '<p>You are signed out. <a href="/signin">Sign in</a>'
  return '<p>You are signed in. <a href="/me">Call the API</a> <form method="post" action="/signout"><button>Sign out</button></form>'
}

/** An outage is not a sign-out: it never sends anybody to sign in. */
export function answerTo(error: unknown): Answer {
  // Signed out, here or elsewhere, or the provider wants to see the user.
  if (error instanceof InteractionRequiredAuthError) {
    return { status: 303, headers: { location: '/signin' }, body: '' }
  }
  // A visitor came back from the provider with nothing that signs in, or a refresh token is used up.
  if (error instanceof AuthorizationResponseError || isInvalidGrant(error)) {
    return page(400, '<p>That did not sign you in. <a href="/signin">Try again</a>')
  }
  if (error instanceof StoreUnavailableError || error instanceof EvictionError) {
    return page(503, '<p>That did not work. Please try again in a moment.')
  }
  console.error(error)
  return page(500, '<p>Something went wrong.')
}

function isInvalidGrant(error: unknown): boolean {
  return error instanceof AuthError && error.errorCode === 'invalid_grant'
}

function page(status: number, body: string): Answer {
  return {
    status,
    headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' },
    body,
  }
}
