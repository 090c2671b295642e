import { contract } from './contract.ts'
import { mapKeyv6 } from './stores/map-keyv6.ts'

contract(mapKeyv6)
