import { contract } from './contract.ts'
import { redisConnectionStores } from './stores/redis-connection.ts'

for (const store of redisConnectionStores) contract(store)
