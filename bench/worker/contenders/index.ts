import type { ContenderName } from '../../contenders.ts'
import type { Contender, Parts } from './contender.ts'
import { asInSample, onKeyv, onRedis } from './microsoft.ts'
import { clients, firstHits, pluginAlone } from './ours.ts'
import { msalAlone, oneRecord } from './together.ts'

export const makers: Readonly<Record<ContenderName, (parts: Parts) => Contender>> = {
  msal: msalAlone,
  blob: oneRecord,
  'microsoft-sample': asInSample,
  'microsoft-redis': onRedis,
  microsoft: onKeyv,
  plugin: pluginAlone,
  first: firstHits,
  clients,
}
