// Another process that has a transaction open on an SQLite file. Started by sqlite.test.ts.
import KeyvSqlite from '@keyv/sqlite'

const [, , file, mode] = process.argv
const adapter = new KeyvSqlite({ uri: `sqlite://${file}` })
await adapter.query(`BEGIN ${mode}`)
process.once('message', async () => {
  await adapter.query('COMMIT')
  await adapter.disconnect()
  process.disconnect?.()
})
process.send?.('locked')
