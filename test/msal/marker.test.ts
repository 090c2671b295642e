import { expect, test } from 'vitest'
import { hasMark, markedCache, withoutMarks } from '../../src/msal/contract.ts'
import { parseSerialized } from '../../src/msal/schema.ts'
import { EntraStandIn } from '../support/entra.ts'

test('a mark lies in memory beside all else, until memory is cleared', async () => {
  const entra = new EntraStandIn({ size: 'small' })
  const client = entra.client()
  const { account } = await entra.signIn(client, entra.user())
  const cache = client.getTokenCache()
  const contents = () => parseSerialized(cache.serialize())
  const before = contents()

  cache.deserialize(markedCache('1'))
  cache.deserialize('')
  expect([hasMark(contents(), '1'), hasMark(contents(), '2')]).toEqual([true, false])
  expect(withoutMarks(contents())).toEqual(before)
  if (account !== null) await cache.removeAccount(account)
  expect(hasMark(contents(), '1')).toBe(true)
  client.clearCache()
  expect(hasMark(contents(), '1')).toBe(false)
})
