import { contract } from './contract.ts'
import { mysql } from './stores/mysql.ts'

contract(mysql)
