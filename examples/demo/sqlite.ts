import { DatabaseSync } from 'node:sqlite'

/**
 * A Keyv storage adapter over the SQLite that Node brings: nothing to install and nothing to compile. Expired rows
 * stay until Keyv reads them.
 */
export class SqliteAdapter {
  /** Keyv 5 reads here whether it may iterate. */
  readonly opts = { dialect: 'sqlite', url: 'sqlite' }
  readonly #database: DatabaseSync
  readonly #table: string

  /** @param table a name that needs no quotes */
  constructor(file: string, table: string) {
    this.#table = table
    this.#database = new DatabaseSync(file)
    // Readers and a writer do not wait for each other; two writers wait for a second at most.
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 1000')
    this.#database.exec(`CREATE TABLE IF NOT EXISTS ${table} (key TEXT PRIMARY KEY, value TEXT NOT NULL)`)
  }

  async get(key: string): Promise<string | undefined> {
    const [value] = await this.getMany([key])
    return value
  }

  /** One statement, and so one moment. */
  async getMany(keys: readonly string[]): Promise<(string | undefined)[]> {
    const select = `SELECT key, value FROM ${this.#table} WHERE key IN (SELECT value FROM json_each(?))`
    const rows = this.#database.prepare(select).all(JSON.stringify(keys))
    const values = new Map(rows.map(({ key, value }) => [String(key), String(value)]))
    return keys.map((key) => values.get(key))
  }

  async set(key: string, value: string): Promise<void> {
    const upsert = `INSERT INTO ${this.#table} VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`
    this.#database.prepare(upsert).run(key, value)
  }

  async delete(key: string): Promise<boolean> {
    return this.#database.prepare(`DELETE FROM ${this.#table} WHERE key = ?`).run(key).changes > 0
  }

  async clear(): Promise<void> {
    this.#database.exec(`DELETE FROM ${this.#table}`)
  }

  async *iterator(): AsyncGenerator<[key: string, value: string]> {
    for (const { key, value } of this.#database.prepare(`SELECT key, value FROM ${this.#table}`).all()) {
      yield [String(key), String(value)]
    }
  }

  async disconnect(): Promise<void> {
    this.#database.close()
  }
}
