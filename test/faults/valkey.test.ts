import { RedisServer } from '../support/redis-server.ts'
import { basicFaults } from './basic-faults.ts'
import { VALKEY_FAULTS } from './table.ts'

basicFaults({
  kind: 'valkey',
  program: 'redis-server',
  start: () => RedisServer.start({ appendOnly: true }),
  rows: {
    killed: VALKEY_FAULTS.killed,
    paused: VALKEY_FAULTS.paused,
    restarted: VALKEY_FAULTS.restarted,
    damaged: VALKEY_FAULTS.damaged,
  },
})
