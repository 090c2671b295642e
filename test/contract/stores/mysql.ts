import { MARIADB, OtherServer } from '../../support/other-servers.ts'
import { addressableStore } from '../contract-store.ts'

export const mysql = addressableStore('MariaDB', ['mariadbd'], async () => {
  const server = await OtherServer.start(MARIADB)
  return { address: { kind: 'mysql', port: server.port }, stop: () => server.stop() }
})
