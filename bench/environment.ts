import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { arch, cpus, totalmem, type } from 'node:os'
import { findProgram } from '../test/support/programs.ts'
import type { Profile } from './profile.ts'
import type { Environment } from './results.ts'

const PACKAGES = ['@azure/msal-node', 'keyv', '@keyv/redis', '@redis/client', '@keyv/sqlite', 'sqlite3']

/** The machine, and what runs on it. */
export function describeEnvironment({ name, served, rounds }: Profile): Environment {
  const packages = PACKAGES.map((name) => [name, versionOf(`../node_modules/${name}/package.json`)])
  return {
    date: new Date().toISOString().slice(0, 10),
    profile: name,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory: totalmem(),
    system: `${type()}, ${arch()}`,
    versions: {
      'msal-keyv': versionOf('../package.json'),
      'Node.js': process.versions.node,
      Redis: redisVersion(),
      ...Object.fromEntries(packages),
    },
    served,
    rounds,
  }
}

function versionOf(path: string): string {
  const { version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string }
  return version
}

function redisVersion(): string {
  const program = findProgram('redis-server')
  if (program === undefined) return 'not installed'
  return /v=([\d.]+)/.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
}
