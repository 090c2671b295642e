'use client'

/** An outage is not a sign-out: whoever is signed in goes on afterwards. */
export default function Failed() {
  return <p>That did not work. Please try again in a moment.</p>
}
