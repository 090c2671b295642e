import { contract } from './contract.ts'
import { sqlite } from './stores/sqlite.ts'

contract(sqlite)
