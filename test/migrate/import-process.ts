// Imports into Redis, in a process whose memory is limited, and says what it took. Started by many-accounts.test.ts.
import { readFile } from 'node:fs/promises'
import { KeyvCachePlugin } from '../../src/index.ts'
import { type ImportReport, importCache } from '../../src/migrate/index.ts'
import { CLIENT_ID } from '../support/entra.ts'
import { observe } from '../support/observed-store.ts'
import { openStore } from '../support/open-store.ts'
import { isStored } from '../support/stored.ts'
import { connectTo } from './sessions.ts'

export interface ImportSettings {
  readonly redisUrl: string
  /** The file with a blob; without it, what Redis has under these keys is imported, record by record. */
  readonly file: string | undefined
  readonly keys: readonly string[]
}

export interface ImportFigures {
  readonly imported: number
  readonly reasons: Readonly<Record<string, number>>
  readonly dropped: number
  readonly storeCalls: number
  readonly milliseconds: number
  /** Of the whole process at its largest, in MiB. */
  readonly memory: number
}

process.once('message', async ({ redisUrl, file, keys }: ImportSettings) => {
  const { keyv, calls } = observe(await openStore({ kind: 'redis', url: redisUrl }))
  const plugin = new KeyvCachePlugin({ store: keyv, clientId: CLIENT_ID })
  const redis = await connectTo(redisUrl)
  await isStored(plugin, 'warm-up')
  calls()

  const reasons: Record<string, number> = {}
  let [imported, dropped] = [0, 0]
  const count = (report: ImportReport) => {
    imported += report.imported.length
    dropped += report.dropped
    for (const { reason } of report.skipped) reasons[reason] = (reasons[reason] ?? 0) + 1
  }
  const start = performance.now()
  if (file !== undefined) count(await importCache(plugin, await readFile(file, 'utf8')))
  for (const key of keys) count(await importCache(plugin, (await redis.get(key)) ?? ''))
  const milliseconds = Math.round(performance.now() - start)
  const memory = Math.round(process.resourceUsage().maxRSS / 1024)
  const figures: ImportFigures = {
    imported,
    reasons,
    dropped,
    storeCalls: calls().length,
    milliseconds,
    memory,
  }
  process.send?.(figures, () => process.exit(0))
})
