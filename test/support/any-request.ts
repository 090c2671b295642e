import { Readable } from 'node:stream'
import fc, { type Arbitrary } from 'fast-check'
import type { CallbackRequest } from '../../src/logout/request.ts'

/** Makes a request anew: a stream can be read once. */
export type MakeRequest = () => CallbackRequest

/** A plain object with this body, or a request of Node's with these chunks. */
export function anyRequest(
  members: Record<'method' | 'url' | 'headers' | 'body' | 'chunks', Arbitrary<unknown>>,
) {
  const { body, chunks, ...others } = members
  const plain = fc.record({ ...others, body }).map(
    (it): MakeRequest =>
      () =>
        it as CallbackRequest,
  )
  const incoming = fc.record({ ...others, chunks }).map(
    ({ chunks, ...it }): MakeRequest =>
      () =>
        Object.assign(Readable.from(chunks as Buffer[]), it) as never,
  )
  return fc.oneof(plain, incoming)
}
