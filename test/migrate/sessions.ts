import { createClient } from 'redis'
import type { HostSession } from '../../src/index.ts'

export type Redis = Awaited<ReturnType<typeof connectTo>>

export function connectTo(url: string) {
  return createClient({ url }).connect()
}

/** What the servers of an application, old and new, keep of a browser. */
export interface Session {
  account?: HostSession | { homeAccountId: string }
  /** What passport's verify callback got. */
  refreshToken?: string
}

/** The sessions that all servers share. */
export class Sessions {
  readonly #redis: Redis

  constructor(redis: Redis) {
    this.#redis = redis
  }

  async get(id: string): Promise<Session> {
    return JSON.parse((await this.#redis.get(`sess:${id}`)) ?? '{}') as Session
  }

  async set(id: string, session: Session): Promise<void> {
    await this.#redis.set(`sess:${id}`, JSON.stringify(session))
  }

  async destroy(id: string): Promise<void> {
    await this.#redis.del(`sess:${id}`)
  }
}
