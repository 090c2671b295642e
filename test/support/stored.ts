import type { JsonCache } from '@azure/msal-node'
import type { AccountRef, KeyvLike, PluginLike } from '../../src/index.ts'
import { exportAccount } from '../../src/migrate/index.ts'
import { KeyNames } from '../../src/records/key-names.ts'
import { CLIENT_ID } from './entra.ts'

/** The store keys of an account of the tests' application. */
export function keysOf(homeAccountId: string) {
  return new KeyNames({ clientId: CLIENT_ID, namespace: undefined, keySecret: undefined }).account(
    homeAccountId,
  )
}

/** All that the store holds of an account, as text; empty where there is nothing. */
export async function storedText(keyv: KeyvLike, homeAccountId: string): Promise<string> {
  const { partition } = keysOf(homeAccountId)
  const raw = (await keyv.getRaw(partition)) as { value?: string } | undefined
  return raw?.value ?? ''
}

/** MSAL's own JSON in the account's record. */
export async function storedPartition(keyv: KeyvLike, homeAccountId: string): Promise<JsonCache> {
  const text = await storedText(keyv, homeAccountId)
  return JSON.parse(text.slice(text.indexOf('\n') + 1)) as JsonCache
}

/** Whether an account is signed in, whichever sign-in that is. */
export async function isStored(plugin: PluginLike, account: AccountRef | string): Promise<boolean> {
  const ref = typeof account === 'string' ? { homeAccountId: account } : account
  return (await exportAccount(plugin, ref)) !== undefined
}
