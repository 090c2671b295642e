import { Suspense } from 'react'
import { signedIn } from '../session.ts'

export default function Home() {
  return (
    <Suspense>
      <Account />
    </Suspense>
  )
}

// Plain links: what they lead to are route handlers, not pages, and must not be fetched ahead.
async function Account() {
  if (!(await signedIn())) {
    return (
      <p>
        You are signed out. <a href="/signin">Sign in</a>
      </p>
    )
  }
  return (
    <>
      <p>
        You are signed in. <a href="/me">Call the API</a>
      </p>
      <form method="post" action="/signout">
        <button type="submit">Sign out</button>
      </form>
    </>
  )
}
