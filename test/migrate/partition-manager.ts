import type { IPartitionManager } from '@azure/msal-node'
import type { Sessions } from './sessions.ts'

/** A session's partition has the home account id of its account for its key, as in Microsoft's samples. */
export class PartitionManager implements IPartitionManager {
  readonly #sessions: Sessions
  readonly #sessionId: string

  constructor(sessions: Sessions, sessionId: string) {
    this.#sessions = sessions
    this.#sessionId = sessionId
  }

  async getKey(): Promise<string> {
    const { account } = await this.#sessions.get(this.#sessionId)
    return account?.homeAccountId ?? ''
  }

  async extractKey({ homeAccountId }: { homeAccountId: string }): Promise<string> {
    return homeAccountId
  }
}
