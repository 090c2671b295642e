import { ClientAssertion, type Configuration, CryptoProvider } from '@azure/msal-node'
import { BoundedMap } from '../bounded-map.ts'

type Auth = Configuration['auth']

/** How many token endpoints the signed assertions are kept for. */
const MOST_ASSERTIONS = 100

/**
 * The same credentials for clients that live for one call. MSAL signs an assertion with a certificate's key once
 * per client, also for a call that is answered from the cache: here it is signed once per token endpoint and ten
 * minutes.
 */
export function sharedCredentials(auth: Auth): Auth {
  const { clientCertificate, ...others } = auth
  if (clientCertificate === undefined || others.clientAssertion || others.clientSecret) return auth
  const { thumbprint, thumbprintSha256, privateKey, x5c } = clientCertificate
  if (!privateKey || !(thumbprintSha256 || thumbprint)) return auth
  const assertions = new BoundedMap<ClientAssertion>(MOST_ASSERTIONS)
  const crypto = new CryptoProvider()
  return {
    ...others,
    clientAssertion: async ({ clientId, tokenEndpoint = '' }) => {
      const assertion = assertions.getOrMake(tokenEndpoint, () =>
        thumbprintSha256
          ? ClientAssertion.fromCertificateWithSha256Thumbprint(thumbprintSha256, privateKey, x5c)
          : ClientAssertion.fromCertificate(thumbprint ?? '', privateKey, x5c),
      )
      return assertion.getJwt(crypto, clientId, tokenEndpoint)
    },
  }
}
