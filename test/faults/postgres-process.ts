// A process with an idle connection to PostgreSQL. Started by postgres.test.ts.
import KeyvPostgres from '@keyv/postgres'
import Keyv from 'keyv'
import { KeyvStore } from '../../src/store/keyv-store.ts'
import { runSample, sampleUnder } from '../support/run-sample.ts'

const [, , uri = '', kind] = process.argv
const sample = sampleUnder('docs/stores.md', '## PostgreSQL', 'js')
const replaced = { 'postgresql://app@127.0.0.1:5432/app': uri }
const adapter =
  kind === 'plain'
    ? new KeyvPostgres({ uri })
    : (await runSample<{ adapter: KeyvPostgres }>(sample, replaced, ['adapter'])).adapter
const store = new KeyvStore(new Keyv(adapter, { namespace: '', useKeyPrefix: false }), 3_000)
await store.write('key', 'value', 60_000)
process.once('message', async () => {
  await store.read(['key'])
  await adapter.disconnect()
  process.disconnect?.()
})
process.send?.('idle')
