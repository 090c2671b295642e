import { contract } from './contract.ts'
import { awkward } from './stores/awkward.ts'

contract(awkward)
