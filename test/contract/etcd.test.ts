import { contract } from './contract.ts'
import { etcd } from './stores/etcd.ts'

contract(etcd)
