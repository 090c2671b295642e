import { ETCD, OtherServer } from '../support/other-servers.ts'
import { basicFaults } from './basic-faults.ts'
import { ETCD_FAULTS } from './table.ts'

basicFaults({
  kind: 'etcd',
  program: 'etcd',
  start: () => OtherServer.start(ETCD),
  rows: {
    killed: ETCD_FAULTS.killed,
    paused: ETCD_FAULTS.paused,
    restarted: ETCD_FAULTS.restarted,
    damaged: ETCD_FAULTS.damaged,
  },
})
