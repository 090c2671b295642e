import { contract } from './contract.ts'
import { map } from './stores/map.ts'

contract(map)
