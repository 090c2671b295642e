import { contract } from './contract.ts'
import { postgres } from './stores/postgres.ts'

contract(postgres)
