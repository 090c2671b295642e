import { PostgresServer } from '../../support/postgres-server.ts'
import { addressableStore } from '../contract-store.ts'

export const postgres = addressableStore('PostgreSQL', ['initdb', 'postgres'], async () => {
  const server = await PostgresServer.start()
  return { address: { kind: 'postgres', uri: server.uri }, stop: () => server.stop() }
})
