import { type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

export interface StartedDemo {
  /** Empty if it ended without one. */
  readonly url: string
  /** What it has written to its standard error. */
  complaints(): string
  /** Ends it as Ctrl+C does, if it has not ended; resolves to its exit code and signal. */
  end(): Promise<unknown[]>
}

/** The demo as a command starts it. Resolves once it is ready, or has ended. */
export async function startDemo(
  options: Pick<SpawnOptions, 'cwd' | 'env'> = {},
  args = ['examples/demo/main.ts'],
): Promise<StartedDemo> {
  const demo = spawn(process.execPath, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => {
    demo.kill('SIGKILL')
  })
  const closed = once(demo, 'close')
  let output = ''
  let complaints = ''
  demo.stderr.on('data', (chunk) => {
    complaints += chunk
  })
  for await (const chunk of demo.stdout) {
    output += chunk
    if (output.includes('Ctrl+C')) break
  }
  const url = output.match(/msal-keyv demo\s+(\S+)/)?.[1] ?? ''
  if (url === '') await closed
  return {
    url,
    complaints: () => complaints,
    end() {
      demo.kill('SIGINT')
      return closed
    },
  }
}
