import type { Ahead } from '../kinds/cache-plugin.ts'
import type { CallMemory } from './call-memory.ts'
import { forgetIfRefused } from './refused.ts'
import { type Answer, copyOf, type RememberedAnswers } from './remembered-answers.ts'
import { requestKey } from './shared-calls.ts'

/** A plugin that is made for this call. */
interface CallPlugin {
  loadAhead(): Promise<Ahead>
  forgetRefreshTokens: Parameters<typeof forgetIfRefused>[1]['forgetRefreshTokens']
}

/** What is asked for, and everything that can change the answer. */
export interface Question {
  /** The flow, the account or other owner, and MSAL's request. */
  readonly key: string
  /** Whether the answer rests on nothing but the cache and the time. */
  readonly isPlain: boolean
  /** The account whose eviction ends the answer; empty for an application's own token. */
  readonly account: string
}

const PLAIN = new Set(['scopes', 'authority', 'correlationId', 'account'])

/** MSAL's answer, and what was in its client's memory then. */
interface Given extends Answer {
  readonly memory: CallMemory
}

/** @param owner whose tokens are asked for */
export function question(flow: string, account: string, request: object, owner: unknown): Question {
  // `claims` and `forceRefresh`, for example, ask the provider.
  const isPlain = Object.entries(request).every(([name, value]) => PLAIN.has(name) || value === undefined)
  return { key: requestKey(flow, owner, request), isPlain, account }
}

/** Reads the store, and asks MSAL only where the last answer does not hold any more. */
export async function answer(
  answers: RememberedAnswers,
  { key, isPlain, account }: Question,
  plugin: CallPlugin,
  ask: (ahead: Ahead) => Promise<Given>,
): Promise<Answer> {
  const ahead = await plugin.loadAhead()
  const known = answers.recall(key, ahead)
  if (known !== undefined) return known
  try {
    const { memory, ...given } = await ask(ahead)
    if (isPlain) answers.remember(key, ahead, account, given, memory)
    return given
  } catch (error) {
    await forgetIfRefused(error, plugin, ahead)
    throw error
  }
}

/** What a caller gets: his own copy, under his own correlation id. */
export function handOut({ result }: Answer, { correlationId }: { correlationId?: string | undefined }) {
  const own = copyOf(result)
  own.correlationId = correlationId ?? result.correlationId
  return own
}
