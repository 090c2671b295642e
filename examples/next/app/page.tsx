import { signedIn } from '../session.ts'

// Plain links: what they lead to are route handlers, not pages, and must not be fetched ahead.
export default async function Home() {
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
