/**
 * One place of src and what stands there instead. The place is a declaration, by its name (`isValid`, `MOST_LINKS`) or
 * as a member of a class (`Accounts.commit`, `Links.#live`, `Sealing.constructor`), in whichever file that is. Either a
 * text which the declaration has exactly once is replaced, or all that it holds: a constant's value, a function's body.
 */
export type Change =
  | readonly [place: string, text: string, replacement: string]
  | readonly [place: string, value: string]

const VERIFY = 'return await jwtVerify(token, attributed(expected.keys), options)'

/**
 * Every way in which the tests break the library on purpose, by what is wrong with it then. A test that guards
 * a promise proves with one of them that it can fail. Where a declaration stands, and in what order, does not matter;
 * where its name or the replaced text changes, only this table does.
 */
export const MUTANTS = {
  // Generations and evictions
  'generation ignored': ['isValid', '{ return current !== undefined && generation !== undefined }'],
  'unreadable generation taken for none': [
    'decodeGeneration',
    'return unreadable(key, record.unreadable)',
    "return { kind: 'none' }",
  ],
  'pin follows the store': ['GenerationPin.admits', 'this.#generation === undefined', 'found !== undefined'],
  'pin never ends': ['GenerationPin.admits', 'this.#isEnded = true', ''],
  'deleted without a fence': [
    'Accounts.evict',
    'await this.#records.writeFences(fences).catch((error: unknown) => fail(error, false))',
    '',
  ],
  'sign-in does not adopt the generation': [
    'Accounts.generationFor',
    'return current.id',
    'return newGeneration()',
  ],
  'eviction leaves a rejection unhandled': [
    'Accounts.evict',
    'await this.#records.delete(dead)',
    `await this.#records.delete(dead)
void Promise.reject(new Error('nobody handles this'))`,
  ],
  'token record of any generation': [
    'TokenRecords.load',
    'record.generation === undefined || !isValid(record.generation, current)',
    'false',
  ],
  'assertion of any age stored': [
    'Accounts.generationForAssertion',
    'else if (!isIssuedBefore(assertion, current.evictedAt))',
    'else',
  ],
  'every issuer dates back': ['issueTimeOf', 'ENTRA_ISSUER.test(iss)', 'iss !== ENTRA_ISSUER.source'],
  'assertion of any age loads': [
    'OnBehalfOfPlugin.visible',
    'checkNotEvicted(this.#assertion, snapshot)',
    '',
  ],
  'dead record taken for a base': ['OnBehalfOfPlugin.#store', '(isSame ? shown : undefined)', 'shown'],
  'refresh taken for a sign-in': [
    'CachePlugin.#storeSignIns',
    '&& Object.keys(cache.Account).length > 0',
    '',
  ],

  // What MSAL is shown, and what is kept of what it acquired
  'cleared memory taken for whole': [
    'Turn.endWrite',
    'isIntact: hasMark(after, this.#mark)',
    'isIntact: true',
  ],
  "MSAL's snapshot kept": ['Turn.#dropSnapshot', "this.#cache.deserialize('')", ''],
  'no turns': ['Turn.take', 'await turns.acquire(cache, TURN_PATIENCE)', '() => {}'],
  'contract not checked': ['Turn.take', 'await checkContract(cache, (run) => emptying.run(cache, run))', ''],
  'callbacks out of order go unnoticed': [
    'CachePlugin.afterCacheAccess',
    'return this.#checkBegun(context)',
    'return',
  ],
  'memory not emptied': [
    'Turn.#clear',
    'await emptying.run(this.#cache, () => this.#cache.overwriteCache())',
    '',
  ],
  'memory keeps what was acquired': [
    'CachePlugin.#endWrite',
    'if (isLost || !this.mayStay(changes.acquired)) await turn.forgetAcquired()',
    '',
  ],
  'not split by owner': ['AccountPlugin.commit', 'divide(acquired, homeAccountId).own', 'acquired'],
  'lock off': ['Records.loadForWrite', 'await this.#locks.acquire(key, half)', '() => {}'],
  'silent calls shared by all': [
    'Tokens.acquire',
    'requestKey(plugin.question(), request)',
    "requestKey('', {})",
  ],
  'equal calls share nothing': [
    'SharedCalls.call',
    'if (key === undefined) return run()',
    'if (key !== null) return run()',
  ],
  'shared calls never forgotten': [
    'SharedCalls.#lead',
    'if (this.#running.get(key) === running) this.#running.delete(key)',
    '',
  ],
  'app token of any tenant': ['AppPlugin.commit', 'this.#check(own)', ''],
  'refresh tokens told apart by their keys': [
    'refreshTokenIdentity',
    "SAME_IN_BOTH_REFRESH_TOKENS.map((member) => token[member] || '')",
    'token',
  ],
  'cache key components ignored': ['SAME_IN_BOTH', "'additionalCacheKeyComponents',", ''],

  // ConfidentialClients
  'state not compared': ['redemptionOf', "parameter(response, 'state') !== state", 'false'],
  'pending sign-in without verifier': [
    'redemptionOf',
    '{ code, nonce, codeVerifier,',
    "{ code, nonce, codeVerifier: '',",
  ],
  'pending sign-in without nonce': [
    'redemptionOf',
    '{ code, nonce, codeVerifier,',
    "{ code, nonce: '', codeVerifier,",
  ],
  'sign-out ends every sign-in': ['signOut', 'account !== undefined || generation === undefined', 'true'],
  'credential drops claims': ['tokenCredential', '...(claims === undefined ? {} : { claims }),', ''],

  // Callbacks and notifications: what they end
  'callback of any generation': ['LogoutHandler.#endNamed', 'await accounts.current(links)', 'links'],
  'callback of any issuer': [
    'LogoutHandler.#endNamed',
    'links.filter((link) => matchesIssuer(link.issuer, named.issuer))',
    'links',
  ],

  // Remembered answers
  'remembered: text not compared': [
    'RememberedAnswers.recall',
    'known.fingerprint !== loaded.fingerprint() ||',
    '',
  ],
  'remembered: generation not looked at': [
    'AccountSnapshot.fingerprint',
    "[keys.generation, keys.refusal, session?.key ?? '']",
    "[keys.refusal, session?.key ?? '']",
  ],
  'remembered: renewal offset ignored': ['RENEWAL_OFFSET', '0'],
  'remembered: shared by reference': ['Tokens.acquire', 'copyOf(result)', 'result'],
  'list of token records: bound lifted': ['MOST_LISTED', 'Number.POSITIVE_INFINITY'],
  'links: bound of accounts lifted': ['MOST_ACCOUNTS', 'Number.POSITIVE_INFINITY'],
  'links: bound of an account lifted': ['MOST_LINKS', 'Number.POSITIVE_INFINITY'],
  'an account stored that cannot be evicted': ['commitSignIn', 'checkStorable(homeAccountId)', ''],
  'readable texts: bound lifted': ['MOST_REMEMBERED', 'Number.POSITIVE_INFINITY'],
  'remembered: the record itself': ['fingerprintOf', 'return digestOf(stored)', 'return stored'],
  'remembered: bound lifted': [
    'RememberedAnswers.remember',
    'this.#answers.size <= this.#most.entries',
    'true',
  ],

  // Sessions and links
  'epoch of an ended session not read': ['AccountSnapshot.isSessionEnded', '{ return false }'],
  'ended sessions count as others': [
    'Accounts.#liveSessions',
    'isValid(session.epoch, decodeGeneration(stored.get(epochKey), epochKey))',
    "session.epoch !== '' && decodeGeneration(stored.get(epochKey), epochKey).kind !== 'unreadable'",
  ],
  'links count by their generation only': [
    'Accounts.current',
    'isOfNow || (key !== undefined && snapshot.isNamedBy(key))',
    'isOfNow',
  ],
  'sign-in writes the epoch that it read': [
    'Accounts.commit',
    'this.#records.write([partition, ...records])',
    `this.#records.write([partition, ...records, ...[...epochs].map(([digest, generation]) =>
      ({ ...generationRecord(this.#names.epoch(homeAccountId, digest)), generation }))])`,
  ],
  'links of other sessions not written': [
    'Accounts.commit',
    'this.links.recordsOf(links,',
    'this.links.recordsOf(links.filter((link) => !known.some(({ key }) => key === link.key)),',
  ],
  'openSession takes the epoch of now': [
    'Accounts.beginSession',
    'epoch: namedSession.epoch',
    "epoch: loaded.epoch.kind === 'known' ? loaded.epoch.id : namedSession.epoch",
  ],
  'a sign-in takes an epoch of its own': [
    'Accounts.#linksAfter',
    "current.kind === 'known' ? current.id : undefined",
    'newGeneration()',
  ],
  'an ended session signs out': ['Accounts.current', 'if (snapshot.isSessionEnded) return false', ''],
  'what was not confirmed is written again': [
    'KeyvStore.#writeConfirmed',
    'for (let attempts = 4; attempts > 0; attempts--) {\n        const { key, value, ttl } = make()',
    'const { key, value, ttl } = make()\n      for (let attempts = 4; attempts > 0; attempts--) {',
  ],
  'without an epoch record every session lives': [
    'isLive',
    'since > Date.now() - LONGEST_TTL || named()?.epoch === epoch',
    "since > LONGEST_TTL || named()?.epoch === ''",
  ],
  'epochs of other sessions not looked at': [
    'Accounts.#linksAfter',
    'session === undefined || isValid(session.epoch, currentOf(session.digest))',
    "session === undefined || session.epoch !== ''",
  ],
  'a subject counts only without a session': [
    'LogoutHandler.#endNamed',
    "named.sid === undefined || (bySession.length === 0 && this.#ends === 'account')",
    'named.sid === undefined',
  ],

  // Refusals and routes
  'nobody looks again after a refusal': ['LOOKS', '[]'],
  'refreshes of one record take no turns': [
    'Tokens.#acquire',
    'if (!takesTurn)',
    'if (!takesTurn || takesTurn)',
  ],
  'a refused token is shown': ['CachePlugin.#withoutRefused', '{ return readable }'],
  'on behalf of somebody: not linked': [
    'TokenRecords.write',
    'this.#links.nameAll(sessions)',
    'this.#links.nameAll([])',
  ],
  'answers on behalf of somebody have no owner': [
    'TokenRecordPlugin.ownerOf',
    "record?.generationKey ?? ''",
    "record === null ? 'nobody' : ''",
  ],
  'remembered: what is empty is what is absent': [
    'AccountSnapshot.fingerprint',
    'JSON.stringify(others)',
    "others.map((each) => each ?? '').join()",
  ],

  // Secrets
  // Copies of the package in one process
  'another version': ['PACKAGE_VERSION', "'0.0.1'"],
  'another protocol of the store': ['stores', "'1'", "'0'"],
  'copies do not know each other': ['REGISTRY', "Symbol('msal-keyv')"],
  'jose is loaded at once': [
    'verify',
    "const { jwtVerify } = await import('jose/jwt/verify')",
    "const { jwtVerify } = require('jose/jwt/verify')",
  ],
  'MSAL says which status to answer': ['withStatus', '{ return error }'],
  'errors are of one copy': ['OURS', "Symbol('msal-keyv:error')"],
  'errors are named by their classes': ['ConfigurationError.name', '{ return this.constructor.name }'],
  'errors quote SyntaxErrors': ['redacted', "name === 'SyntaxError' || ", ''],
  'errors quote records': ['redacted', ' || QUOTES_A_RECORD.test(message)', ''],
  'errors quote tokens': ['masked', '.replace(LONG_RUN, ', '.replace(/^$/, '],
  'traces show results': ['trace', 'return describe(result)', 'return (describe, result)'],
  'clients show their configuration': [
    'ConfidentialClients.constructor',
    'this.#clients = new ClientFactory(',
    'Object.assign(this, { configuration }); this.#clients = new ClientFactory(',
  ],

  // A logout token
  'callback: any algorithm': ['verify', 'algorithms: [...expected.algorithms],', ''],
  'callback: not verified': [
    'verify',
    VERIFY,
    `const [header, payload] = token.split('.').slice(0, 2).map((it) => JSON.parse(Buffer.from(it, 'base64url').toString() || '{}'))
     return { protectedHeader: { ...header, typ: undefined }, payload, options } as never`,
  ],
  'callback: not verified, whatever it is': [
    'verify',
    VERIFY,
    `const decode = (part = '') => {
       try {
         return Object(JSON.parse(Buffer.from(part, 'base64url').toString()))
       } catch {
         throw Object.assign(new Error('no JSON'), { code: 'ERR_JWT_INVALID' })
       }
     }
     const [header, payload] = token.split('.')
     return { protectedHeader: decode(header), payload: decode(payload), options } as never`,
  ],
  'callback: nothing but the signature verified': [
    'verify',
    VERIFY,
    `const { compactVerify } = await import('jose')
     const { payload, protectedHeader } = await compactVerify(token, attributed(expected.keys), options)
     return { protectedHeader, payload: JSON.parse(new TextDecoder().decode(payload)) } as never`,
  ],
  'callback: any issuer': ['callbackOf', '|| !matchesIssuer(issuer, expectedIssuer)', ''],
  'callback: of no issuer': [
    'callbackOf',
    '!isValue(issuer) || !matchesIssuer(issuer, expectedIssuer)',
    'false',
  ],
  'callback: forgotten without exp': ['endOf', 'exp: number = Number.POSITIVE_INFINITY', 'exp: number = 0'],
  'callback: any audience': ['verify', 'audience: expected.clientId,', ''],
  'callback: any event': ['callbackOf', "if (!isLogoutEvent(events)) throw unacceptable('events')", ''],
  'callback: with a nonce': [
    'callbackOf',
    "if (Object.hasOwn(claims, 'nonce')) throw unacceptable('nonce')",
    '',
  ],
  'callback: any type': ['callbackOf', "if (!isLogoutTokenType(header.typ)) throw unacceptable('typ')", ''],
  'callback: any jti': ['callbackOf', "if (!isValue(jti)) throw unacceptable('jti')", ''],
  'callback: any sid': [
    'callbackOf',
    "if (sid !== undefined && !isValue(sid)) throw unacceptable('sid')",
    '',
  ],
  'callback: any sub': [
    'callbackOf',
    "if (subject !== undefined && !isValue(subject)) throw unacceptable('sub')",
    '',
  ],
  'callback: of nobody': [
    'callbackOf',
    "if (sid === undefined && subject === undefined) throw unacceptable('sid or sub')",
    '',
  ],
  'callback: any age': ['verify', 'maxTokenAge: LONGEST_LIFE - CLOCK_TOLERANCE,', ''],
  'callback: errors untyped': ['parseBackChannel', 'throw asCallbackError(error)', 'throw error'],
  'callback: causes not redacted': [
    'LogoutCallbackError.constructor',
    'super(message, cause === undefined ? undefined : { cause: redacted(cause) })',
    'super(message, { cause })',
  ],
  'sign-out needs an endpoint': [
    'signOutUrl',
    'if (endSessionEndpoint === undefined) return undefined',
    "if (endSessionEndpoint === undefined) throw new ConfigurationError('no end_session_endpoint')",
  ],
  'causes read whole': ['beginningOf', 'message.length <= LONGEST_READ', 'message.length >= 0'],
  'import: nested as deep as it likes': ['isFlat', 'depth > 0 &&', ''],
  'import: names of the prototype': ['salvage', "key !== '__proto__' && isUsers", 'isUsers'],
  'adapter known by one method': ['looksProven', 'SQL_DIALECTS.includes(dialect) && ', ''],
  'lifetimes looked at too early': ['keeps', 'await pass(A_WHILE)', ''],
  'server behind a connection not seen': ['redisOf', 'connection !== undefined', 'false'],
  'silence taken for a good policy': [
    'adapterWarnings',
    'policy === undefined && warning',
    'false && warning',
  ],
  'timers taken for objects': [
    'RememberedAnswers.remember',
    'this.#sweeps.unref?.()',
    'this.#sweeps.unref()',
  ],
  'callback: any issuer in the query': ['parseFrontChannel', '!matchesIssuer(issuer, expected)', 'false'],
  'issuer: anything for the tenant': ['matchesIssuer', 'guidOf(tenant) === tenant && ', ''],
  'keys: failures not remembered': ['withCooldown', '< COOLDOWN', '< -1'],
  'keys: failures remembered for good': ['withCooldown', '< COOLDOWN', '< Infinity'],
  'keys: moved for good': ['keysOfDiscovered', 'performance.now() - readAt >= COOLDOWN', 'false'],
  'keys: any issuer in the document': ['discoverJwksUri', 'document?.issuer !== issuer', 'document === null'],

  // What arrives
  'request: parameters twice': ['onlyValue', 'if (others.length > 0)', 'if (others.length > 9)'],
  'request: values of any length': ['isValue', 'value.length <= longest &&', ''],
  'request: URL of any length': ['queryOf', 'if (url.length > LONGEST_REQUEST)', 'if (url.length > 1e9)'],
  'request: control characters': ['isValue', '!CONTROL_CHARACTER.test(value) &&', ''],
  'body: any type': ['readBody', 'mediaTypeOf(headers) !== mediaType', 'false'],
  'body: locked taken for none': [
    'readBody',
    'body.locked) throw consumed()',
    'body.locked) return undefined',
  ],
  'body: consumed taken for none': [
    'readBody',
    'if (body === undefined || body === null) throw consumed()',
    '',
  ],
  'body: of any size': ['readBounded', 'if (size > longest)', 'if (size > 1e9)'],
  'body: as slow as it likes': ['readBounded', 'BODY_TIMEOUT)', '2 ** 31 - 1)'],
  'body: drained': ['chunksOfNodeStream', 'stream.pause()', 'stream.resume()'],

  // A notification of Microsoft Graph
  'notification: HTML in the token': ['validationOf', '/[<>]/.test(token)', 'false'],
  'notification: token of any length': ['LONGEST_TOKEN', '1e9'],
  'notification: collection of any size': ['LONGEST_COLLECTION', '1e9'],
  'notification: any number of entries': [
    'notificationsOf',
    'entries.length > MOST_NOTIFICATIONS',
    'entries.length > 1e9',
  ],
  'notification: any id': ['guidOf', 'WHOLE_GUID.test(id)', 'value !== undefined'],
  'notification: two users': ['userIdOf', 'isUser && others.length === 0', 'isUser'],
  'notification: any resource': [
    'userIdOf',
    'type === undefined ? inPath !== undefined : isUserType(type)',
    'true',
  ],
  'notification: any clientState': ['isExpected', 'timingSafeEqual(digestOf(clientState), expected)', 'true'],
  'notification: clientState not looked at': [
    'notificationsOf',
    'isExpected(memberOf(entry, ',
    '(() => true)(memberOf(entry, ',
  ],
  'notification: members of the prototype': ['memberOf', '!Object.hasOwn(value, name)', 'false'],
  'notification: errors untyped': [
    'parseGraphNotification',
    'error instanceof BadRequestError ? new GraphNotificationError(error.message) : error',
    'error',
  ],

  // Where a sign-in was made
  'tenant of the sign-in forgotten': [
    'describeForMsal',
    '? tenantIdOf(cache, realm) : undefined',
    '? undefined : undefined',
  ],
  'authority of the sign-in forgotten': [
    'AccountPlugin.home',
    'trusts(url) ? url : configured',
    'trusts(url) ? configured : configured',
  ],
  'names of a cloud told apart': ['underOneName', 'cloudOf(name)', "cloudOf('no ' + name)"],
  'issuers not compared': [
    'isSameIssuer',
    "return one.issuer !== '' && one.issuer === other.issuer",
    "return one.issuer !== '' || other.issuer !== ''",
  ],
  'hosts not compared': ['isSameHost', 'other.hosts.includes(host)', 'other.hosts.includes(host) || true'],
  'app token of any grant': ['AppPlugin.commit', 'if (!followsLoad &&', 'if (!followsLoad && false &&'],
  'iss of the ID token not checked': [
    'checkVoucher',
    'if (authority.vouchesForItself && commonIssuer(String(iss)) === authority.issuer) continue',
    'if (authority.vouchesForItself || iss !== commonIssuer) continue',
  ],
  'iss of the response not checked': [
    'completeSignIn',
    'commonIssuer(issuer) !== authority.issuer',
    'commonIssuer(issuer) === undefined',
  ],

  // Imports
  'import: a generation for each': [
    'importOne',
    'importedGeneration(accounts.generationKeyOf(homeAccountId))',
    'Math.random().toString()',
  ],
  'import: evictions ignored': [
    'obstacle',
    "if (current.kind === 'known' || epoch.kind === 'known') return { homeAccountId, reason: 'evicted' }",
    '',
  ],
  'import: no look afterwards': [
    'importTogether',
    'if (!isImported(outcome) || current.has(outcome)) return outcome',
    'return outcome',
  ],
  'import: what is stored is replaced': [
    'obstacle',
    'if (partition === undefined) return undefined',
    'if (partition !== null) return undefined',
  ],
  'import: all accounts at once': ['AT_ONCE', '1e9'],
  'import: links not looked for': [
    'importOne',
    "if (found?.reason === 'stored') await accounts.relink(homeAccountId, loaded, sessions)",
    '',
  ],

  // Records and the store
  'failed read taken for a miss': [
    'KeyvStore.#readBatch',
    'if (call.failed && found.includes(undefined)) throw call.error',
    '',
  ],
  'changed keys go unnoticed': ['KeyvStore.#checkPrefixes', '{}'],
  'record of any key': ['decodeRecord', 'if (itsKey !== key)', 'if (!itsKey)'],
  'malformed body not reported': ['CachePlugin.readable', 'reportMalformed(this.key)', 'this.key'],
  'record outlives its tokens': [
    'Accounts.commit',
    'Math.min(snapshot.expiresAt, update.expiresAt)',
    'snapshot.expiresAt',
  ],
  'access tokens do not count': [
    'usableUntil',
    'Math.max(lastUseOf(cache), ...idTokens)',
    'Math.max(...idTokens)',
  ],
  'tag not checked': ['decrypt', 'decipher.final()', ''],
  'no authenticated data': ['associatedData', '{ return Buffer.alloc(0) }'],
  'key id not authenticated': ['associatedData', '{ return Buffer.from(recordKey) }'],
  'record key not authenticated': ['associatedData', '{ return Buffer.from(keyId) }'],
  'one subkey for all': ['DerivationKey.subkey', 'update(`', "update('' && `"],
  'record key in nothing': [
    'Sealing.constructor',
    'this.#first = encryptionKeys?.[0]',
    `this.#first = encryptionKeys?.[0]
     const { seal, open } = this
     this.seal = (plaintext) => seal.call(this, plaintext, '')
     this.open = (stored) => open.call(this, stored, '')`,
  ],
  'any spelling': ['decodeCanonical', "bytes.toString('base64url') === encoded", 'true'],
  'every SyntaxError taken for a damaged value': [
    'KeyvStore.#readOne',
    'if (!mayBeUnparseable(this.#keyv, error) || !(await isUnparseable(this.#keyv, key))) throw error',
    'if (!mayBeUnparseable(this.#keyv, error)) throw error',
  ],
  'a timeout before the answer that is there': [
    'KeyvStore.#call',
    'setTimeout(() => setImmediate(expire), timeout)',
    'setTimeout(expire, timeout)',
  ],

  // The command
  'command: unreadable taken for nobody': ['evict', 'if (unreadable > 0)', 'if (unreadable < 0)'],

  // Redis
  'Redis: READONLY not left': ['RedisLink.use', 'LEAVE.test(error.message)', "error.message === ''"],
  'Redis: a demoted server not left': ['RedisLink.#askNode', "|| answer === 'replica'", ''],
  'Redis: a dead connection kept': [
    'RedisLink.#askNode',
    "if (answer === 'silence' && node.isOpen)",
    'if (false)',
  ],
  'Redis: a replica taken for a master': ['roleOf', "{ return node === undefined ? '' : undefined }"],
  'Redis: credentials outlive their end': ['RedisLink.renewBefore', '{ return void end }'],
  'Redis: cluster without servername': ['Dial.#servername', '? url.hostname', '? undefined'],
  'Redis: sockets keep the process': ['Dial.server', 'client.unref()', ''],
  'Redis: a cluster keeps the process': ['Dial.cluster', '?.client?.unref()', ''],
  'Redis: calls do not keep the process': [
    'RedisAdapter.#use',
    'setTimeout(() => {}, AS_LONG_AS_THE_CALL)',
    'setTimeout(() => {}, AS_LONG_AS_THE_CALL).unref()',
  ],
} as const satisfies Record<string, Change>

export type MutantName = keyof typeof MUTANTS
