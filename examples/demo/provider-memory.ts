import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'

/** Where the demo's OpenID provider keeps its clients, grants and sessions: in memory, gone at exit. */
export function memoryAdapter(): AdapterFactory {
  const adapters = new Map<string, Adapter>()
  return (model) => {
    const adapter = adapters.get(model) ?? new MemoryAdapter()
    adapters.set(model, adapter)
    return adapter
  }
}

class MemoryAdapter implements Adapter {
  readonly #payloads = new Map<string, AdapterPayload>()

  async upsert(id: string, payload: AdapterPayload): Promise<void> {
    this.#payloads.set(id, payload)
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    return this.#payloads.get(id)
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return [...this.#payloads.values()].find((payload) => payload.uid === uid)
  }

  async findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return [...this.#payloads.values()].find((payload) => payload.userCode === userCode)
  }

  async consume(id: string): Promise<void> {
    const payload = this.#payloads.get(id)
    if (payload) payload.consumed = Math.floor(Date.now() / 1000)
  }

  async destroy(id: string): Promise<void> {
    this.#payloads.delete(id)
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    for (const [id, payload] of this.#payloads) {
      if (payload.grantId === grantId) this.#payloads.delete(id)
    }
  }
}
