import { contract } from './contract.ts'
import { valkey } from './stores/valkey.ts'

contract(valkey)
