import { contract } from './contract.ts'
import { redisCluster } from './stores/redis-cluster.ts'

contract(redisCluster)
