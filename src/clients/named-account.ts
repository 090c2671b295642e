import { type AccountRef, type HostSession, type Subject, subjectOf } from '../partitions/identity.ts'

/**
 * Whom a call is for.
 * @throws {TypeError} where nobody is named, as by a browser's session in which nobody is signed in
 */
export function namedAccount(account: HostSession | AccountRef): Subject {
  if (typeof account !== 'string' && (typeof account !== 'object' || account === null)) {
    throw new TypeError(
      'account must be the session that acquireTokenByCode returned, or a home account id: if nobody is signed in ' +
        'here, begin a sign-in',
    )
  }
  return subjectOf(account)
}
