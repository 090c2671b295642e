import { expect } from 'vitest'
import { acquireSilently, EntraStandIn, type User } from '../support/entra.ts'
import { isStored } from '../support/stored.ts'
import type { Host } from './host.ts'
import { KeyvHost } from './keyv-host.ts'
import { type Latency, RemoteMap } from './remote-map.ts'
import { StockHost } from './stock-host.ts'

export const LATENCIES: Latency[] = ['steady', 'irregular']

export const both = (latency?: Latency) => {
  const entra = new EntraStandIn()
  const people = (count: number) => Array.from({ length: count }, () => entra.user())
  const [alice, bob] = [entra.user({ name: 'alice' }), entra.user({ name: 'bob' })]
  const stock = new StockHost(entra, new RemoteMap(latency))
  const keyv = new KeyvHost(entra, new RemoteMap(latency))
  return { entra, people, alice, bob, stock, keyv }
}

export async function expectEvicted(entra: EntraStandIn, host: KeyvHost, user: User): Promise<void> {
  const stored = host.records().flatMap((text) => entra.tokensIn(text))
  expect(stored.filter(({ homeAccountId }) => homeAccountId === user.homeAccountId)).toEqual([])
  await expectSignedOut(host, user)
}

export async function expectSignedOut(host: KeyvHost, user: User): Promise<void> {
  expect(await isStored(host.plugin, user.homeAccountId)).toBe(false)
  const silent = acquireSilently(host.clientFor(user), user.homeAccountId)
  await expect(silent).rejects.toMatchObject({ errorCode: 'no_tokens_found' })
}

/** All of them fail loudly, and the error names both ways that work. */
export async function expectRefused(calls: Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(calls)) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ERR_CONFIGURATION' } })
    expect(outcome).toHaveProperty(
      'reason.message',
      expect.stringMatching(/ConfidentialClients.*a client for each request.*forAccount/),
    )
  }
}

export async function errorCodes(calls: Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(calls)
  return settled.flatMap((call) => (call.status === 'rejected' ? [call.reason.errorCode ?? call.reason] : []))
}

export function ownersOf(entra: EntraStandIn, host: Host): Set<string>[] {
  return host
    .partitions()
    .map((text) => new Set(entra.tokensIn(text).map(({ homeAccountId }) => homeAccountId)))
}

export function kindsIn(entra: EntraStandIn, host: Host, user: User): string[] {
  const stored = host.partitions().flatMap((text) => entra.tokensIn(text))
  return stored.filter(({ homeAccountId }) => homeAccountId === user.homeAccountId).map(({ kind }) => kind)
}

export function chainsOf(tokens: { chain: number }[]): number[] {
  return [...new Set(tokens.map(({ chain }) => chain))]
}
