import { contract } from './contract.ts'
import { redis } from './stores/redis.ts'

contract(redis)
