import { contract } from './contract.ts'
import { memcached } from './stores/memcached.ts'

contract(memcached)
