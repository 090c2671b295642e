import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generateEncryptionKey } from '../src/index.ts'
import { Child } from './support/child.ts'
import { EntraStandIn } from './support/entra.ts'
import type { HeapProcessSettings, HeapProcessWork } from './support/heap-process.ts'
import { mutantLibrary } from './support/mutant-library.ts'
import { makeFolder, removeFolder } from './support/programs.ts'

const HEAP_PROCESS = new URL('support/heap-process.ts', import.meta.url)
const LIBRARY = new URL('../src/index.ts', import.meta.url).href
const encryptionKeys = [generateEncryptionKey()]

const entra = new EntraStandIn()
let folder: string
beforeAll(async () => {
  folder = await makeFolder()
})
afterAll(() => removeFolder(folder))

/** What kinds of tokens are in the memory of a process that has signed people in, served them, and refreshed. */
async function kindsInMemory(
  name: string,
  plugin: Pick<HeapProcessSettings, 'encryptionKeys' | 'rememberedAnswers'>,
  library = LIBRARY,
): Promise<string[]> {
  const address = { kind: 'sqlite', file: join(folder, `${name}.sqlite`) } as const
  const codes = Array.from({ length: 5 }, () => entra.code(entra.user()))
  const assertion = entra.assertion(entra.user())
  const sessionKey = `long-running process ${randomUUID()}`
  const snapshot = join(folder, `${name}.heapsnapshot`)
  const settings: HeapProcessSettings = { ...plugin, library, address, snapshot }
  const execArgv = ['--expose-gc', '--heap-snapshot-string-limit=10000000']
  const options = { provider: entra, execArgv }
  const child = await Child.start<HeapProcessWork | 'snapshot'>(HEAP_PROCESS, settings, options)
  // Two requests, so that nothing of the first is left on the stack.
  await child.ask({ codes, assertion, sessionKey })
  await child.ask('snapshot')
  await child.end()
  const heap = await readFile(snapshot, 'utf8')
  const kinds = entra.tokensIn(heap).map(({ token, kind }) => (token === assertion ? 'assertion' : kind))
  return [...new Set<string>([...kinds, ...(heap.includes(sessionKey) ? ['session key'] : [])])].toSorted()
}

describe('a process that signs people in, serves them and refreshes has in its memory', () => {
  test('no refresh token, and the access and ID tokens that it remembers (P9)', async () => {
    expect(await kindsInMemory('plaintext', {})).toEqual(['access_token', 'id_token'])
  })

  test('the same where records are sealed', async () => {
    expect(await kindsInMemory('sealed', { encryptionKeys })).toEqual(['access_token', 'id_token'])
  })

  test('no token that opens anything where it remembers no answers', async () => {
    const kinds = await kindsInMemory('nothing', { rememberedAnswers: false })
    // MSAL splits ID tokens by a regular expression, and V8 keeps the last text that one has matched.
    expect(kinds.filter((kind) => kind !== 'id_token')).toEqual([])
  })

  test('the refresh tokens, if an answer rested on the record itself', async () => {
    const { url, remove } = await mutantLibrary('remembered: the record itself')
    try {
      expect(await kindsInMemory('broken', {}, url)).toContain('refresh_token')
    } finally {
      await remove()
    }
  })
})
