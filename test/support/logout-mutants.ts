import type { Change } from './mutants.ts'

const VERIFY = 'return await jwtVerify(token, attributed(expected.keys), options)'

/** The part of the table of mutants that concerns callbacks and notifications; see mutants.ts. */
export const LOGOUT_MUTANTS = {
  // A logout token
  'callback: any algorithm': ['logout/back-channel.ts', 'algorithms: [...expected.algorithms],', ''],
  'callback: not verified': [
    'logout/back-channel.ts',
    VERIFY,
    `const [header, payload] = token.split('.').slice(0, 2).map((it) => JSON.parse(Buffer.from(it, 'base64url').toString() || '{}'))
     return { protectedHeader: { ...header, typ: undefined }, payload, options } as never`,
  ],
  'callback: not verified, whatever it is': [
    'logout/back-channel.ts',
    VERIFY,
    `const decode = (part = '') => {
       try {
         return Object(JSON.parse(Buffer.from(part, 'base64url').toString()))
       } catch {
         throw new errors.JWTInvalid('no JSON')
       }
     }
     const [header, payload] = token.split('.')
     return { protectedHeader: decode(header), payload: decode(payload), options } as never`,
  ],
  'callback: nothing but the signature verified': [
    'logout/back-channel.ts',
    VERIFY,
    `const { compactVerify } = await import('jose')
     const { payload, protectedHeader } = await compactVerify(token, attributed(expected.keys), options)
     return { protectedHeader, payload: JSON.parse(new TextDecoder().decode(payload)) } as never`,
  ],
  'callback: any issuer': ['logout/back-channel.ts', '|| !matchesIssuer(issuer, expectedIssuer)', ''],
  'callback: of no issuer': [
    'logout/back-channel.ts',
    '!isValue(issuer) || !matchesIssuer(issuer, expectedIssuer)',
    'false',
  ],
  'callback: for good': ['logout/back-channel.ts', "if (exp === undefined) throw unacceptable('exp')", ''],
  'callback: any audience': ['logout/back-channel.ts', 'audience: expected.clientId,', ''],
  'callback: any event': [
    'logout/back-channel.ts',
    "if (!isLogoutEvent(events)) throw unacceptable('events')",
    '',
  ],
  'callback: with a nonce': [
    'logout/back-channel.ts',
    "if (Object.hasOwn(claims, 'nonce')) throw unacceptable('nonce')",
    '',
  ],
  'callback: any type': [
    'logout/back-channel.ts',
    "if (!isLogoutTokenType(header.typ)) throw unacceptable('typ')",
    '',
  ],
  'callback: any jti': ['logout/back-channel.ts', "if (!isValue(jti)) throw unacceptable('jti')", ''],
  'callback: any sid': [
    'logout/back-channel.ts',
    "if (sid !== undefined && !isValue(sid)) throw unacceptable('sid')",
    '',
  ],
  'callback: any sub': [
    'logout/back-channel.ts',
    "if (subject !== undefined && !isValue(subject)) throw unacceptable('sub')",
    '',
  ],
  'callback: of nobody': [
    'logout/back-channel.ts',
    "if (sid === undefined && subject === undefined) throw unacceptable('sub')",
    '',
  ],
  'callback: any age': ['logout/back-channel.ts', 'maxTokenAge: LONGEST_LIFE - CLOCK_TOLERANCE,', ''],
  'callback: errors untyped': ['logout/back-channel.ts', 'throw asCallbackError(error)', 'throw error'],
  'callback: causes not redacted': [
    'errors.ts',
    'super(message, cause === undefined ? undefined : { cause: redacted(cause) })',
    'super(message, { cause })',
  ],
  'callback: any issuer in the query': [
    'logout/front-channel.ts',
    '!matchesIssuer(issuer, expected)',
    'false',
  ],
  'issuer: anything for the tenant': ['logout/issuer.ts', 'GUID.test(tenant) && ', ''],
  'keys: failures not remembered': ['logout/keys.ts', '< FAILURE_COOLDOWN', '< -1'],
  'keys: failures remembered for good': ['logout/keys.ts', '< FAILURE_COOLDOWN', '< Infinity'],
  'keys: any issuer in the document': ['logout/keys.ts', 'document?.issuer !== issuer', 'document === null'],

  // What arrives
  'request: parameters twice': ['logout/request.ts', 'if (others.length > 0)', 'if (others.length > 9)'],
  'request: values of any length': ['logout/request.ts', 'value.length <= longest &&', ''],
  'request: URL of any length': [
    'logout/request.ts',
    'if (url.length > LONGEST_REQUEST)',
    'if (url.length > 1e9)',
  ],
  'request: control characters': ['logout/request.ts', '!CONTROL_CHARACTER.test(value) &&', ''],
  'body: any type': ['logout/body.ts', 'mediaTypeOf(headers) !== mediaType', 'false'],
  'body: locked taken for none': [
    'logout/body.ts',
    'body.locked) throw consumed()',
    'body.locked) return undefined',
  ],
  'body: consumed taken for none': [
    'logout/body.ts',
    'if (body === undefined || body === null) throw consumed()',
    '',
  ],
  'body: of any size': ['logout/body.ts', 'if (size > longest)', 'if (size > 1e9)'],
  'body: as slow as it likes': ['logout/body.ts', 'BODY_TIMEOUT)', '2 ** 31 - 1)'],
  'body: drained': ['logout/body.ts', 'stream.pause()', 'stream.resume()'],

  // A notification of Microsoft Graph
  'notification: HTML in the token': ['graph/notifications.ts', 'if (/[<>]/.test(token))', 'if (false)'],
  'notification: token of any length': [
    'graph/notifications.ts',
    'LONGEST_TOKEN = 4096',
    'LONGEST_TOKEN = 1e9',
  ],
  'notification: collection of any size': [
    'graph/notifications.ts',
    'LONGEST_COLLECTION = 256 * 1024',
    'LONGEST_COLLECTION = 1e9',
  ],
  'notification: any number of entries': [
    'graph/notifications.ts',
    'entries.length > MOST_NOTIFICATIONS',
    'entries.length > 1e9',
  ],
  'notification: any id': ['graph/notifications.ts', 'GUID.test(value)', 'value !== undefined'],
  'notification: two users': ['graph/notifications.ts', 'isUser && others.length === 0', 'isUser'],
  'notification: any resource': [
    'graph/notifications.ts',
    'type === undefined ? inPath !== undefined : isUserType(type)',
    'true',
  ],
  'notification: any clientState': [
    'graph/notifications.ts',
    'timingSafeEqual(digestOf(clientState), expected)',
    'true',
  ],
  'notification: clientState not looked at': [
    'graph/notifications.ts',
    'isExpected(memberOf(entry, ',
    '(() => true)(memberOf(entry, ',
  ],
  'notification: members of the prototype': [
    'graph/notifications.ts',
    '!Object.hasOwn(value, name)',
    'false',
  ],
  'notification: errors untyped': [
    'graph/notifications.ts',
    'error instanceof BadRequestError ? new GraphNotificationError(error.message) : error',
    'error',
  ],
} as const satisfies Record<string, Change>
