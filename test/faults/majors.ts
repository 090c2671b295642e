import Keyv from 'keyv'
import { Keyv as Keyv6 } from 'keyv6'
import type { KeyvLike } from '../../src/index.ts'
import { length } from '../support/length.ts'

type Major = readonly [name: 'Keyv 5' | 'Keyv 6', make: (adapter: object) => KeyvLike]

const KEYV_5: Major = [
  'Keyv 5',
  (adapter) => new Keyv({ store: adapter, namespace: '', useKeyPrefix: false }),
]
const KEYV_6: Major = ['Keyv 6', (adapter) => new Keyv6({ store: adapter as never, namespace: '' })]

export const BOTH_MAJORS = [KEYV_5, KEYV_6]

/**
 * What the majors make different is what becomes of an adapter's error. Redis shows that in every run; the other stores
 * are behind Keyv 6 only in the long ones.
 */
export const MAJORS = length({ short: [KEYV_5], long: BOTH_MAJORS })
