import { MARIADB, OtherServer } from '../support/other-servers.ts'
import { basicFaults } from './basic-faults.ts'
import { MYSQL_FAULTS } from './table.ts'

basicFaults({
  kind: 'mysql',
  program: 'mariadbd',
  start: () => OtherServer.start(MARIADB),
  rows: {
    killed: MYSQL_FAULTS.killed,
    paused: MYSQL_FAULTS.paused,
    restarted: MYSQL_FAULTS.restarted,
    damaged: MYSQL_FAULTS.damaged,
  },
})
