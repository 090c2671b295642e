import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** For npm in a newcomer's project: from its cache where that will do, and without noise. */
export const QUIET_NPM = {
  npm_config_prefer_offline: 'true',
  npm_config_audit: 'false',
  npm_config_fund: 'false',
}

export async function npm(project: string, ...args: string[]): Promise<void> {
  await run('npm', args, { cwd: project, env: { ...process.env, ...QUIET_NPM } })
}

/** Type-checks `app.ts` as a strict project does. */
export async function typeCheck(project: string): Promise<void> {
  await npm(
    project,
    'install',
    '--save-dev',
    'typescript@6',
    '@types/node@22',
    '@types/express@5',
    '@types/express-session@1',
  )
  const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2023', '--types', 'node']
  await run('npx', ['--no-install', 'tsc', ...options, 'app.ts'], { cwd: project })
}

/**
 * Resolves once something answers at the URL.
 * @param ended what to say where nothing ever will
 */
export async function answers(url: string, ended: () => string | undefined): Promise<void> {
  for (;;) {
    const response = await fetch(url, { redirect: 'manual' }).catch(() => undefined)
    if (response !== undefined) return
    const reason = ended()
    if (reason !== undefined) throw new Error(reason)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
