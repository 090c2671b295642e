import { DistributedCachePlugin } from '@azure/msal-node'
import Keyv from 'keyv'
import { ConfidentialClients, KeyvCachePlugin } from './src/index.ts'
import { CLIENT_ID, EntraStandIn, SCOPES, acquireSilently } from './test/support/entra.ts'
const entra = new EntraStandIn()
const store = new Keyv(new Map(), { namespace: '', useKeyPrefix: false })
const plugin = new KeyvCachePlugin({ store, clientId: CLIENT_ID })
const msal = new ConfidentialClients(entra.configuration(), { store, rememberedAnswers: { entries: 1 } })
const users = Array.from({ length: 200 }, () => entra.user())
const ms = (user?: any) => entra.client(new DistributedCachePlugin({ get: async (k: string) => (await store.get<string>(k)) ?? '', set: async (k: string, v: string) => { await store.set(k, v); return v } }, { getKey: async () => user?.homeAccountId ?? '', extractKey: async (a: any) => a.homeAccountId }))
const sessions = new Map()
for (const user of users) { sessions.set(user, await plugin.openSession(await entra.signIn(entra.client(plugin), user))); await entra.signIn(ms(), user) }
const what: Record<string, (u: any) => Promise<any>> = {
  ms: (u) => acquireSilently(ms(u), u.homeAccountId),
  forAccount: (u) => acquireSilently(entra.client(plugin.forAccount(sessions.get(u))), u.homeAccountId),
  first: (u) => msal.acquireTokenSilent(sessions.get(u), { scopes: SCOPES }),
}
const only = process.argv[2]
const totals: Record<string, number[]> = {}
for (let round = 0; round < +(process.argv[3] ?? 30); round++) for (const [name, run] of Object.entries(what)) {
  if (only && only !== name) continue
  const c = process.cpuUsage()
  for (const u of users) { const r = await run(u); if (!r.fromCache) throw new Error('miss') }
  const d = process.cpuUsage(c)
  ;(totals[name] ??= []).push((d.user + d.system) / users.length)
}
for (const [name, t] of Object.entries(totals)) { t.sort((a, b) => a - b); console.log(name, t[Math.floor(t.length / 2)]!.toFixed(1), 'µs cpu median, min', t[0]!.toFixed(1)) }
