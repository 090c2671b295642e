import type { Reporter, Vitest } from 'vitest/node'

/** What begins a line that says which program is missing, and how to install it. */
export const SKIPPING = 'SKIPPING TESTS: '

/** Says at the end, in one list, which tests were skipped because a program is not installed. */
export class NotInstalled implements Reporter {
  #vitest: Vitest | undefined
  readonly #files = new Map<string, Set<string>>()

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  onUserConsoleLog({ content, taskId }: Parameters<NonNullable<Reporter['onUserConsoleLog']>>[0]): void {
    for (const line of content.split('\n')) {
      if (!line.startsWith(SKIPPING)) continue
      const program = line.slice(SKIPPING.length)
      const file = this.#vitest?.state.idMap.get(taskId ?? '')?.file.name ?? 'unknown'
      this.#files.set(program, (this.#files.get(program) ?? new Set()).add(file))
    }
  }

  onTestRunEnd(): void {
    if (this.#files.size === 0) return
    console.log('Tests were skipped, since these programs are not installed:\n')
    for (const [program, files] of [...this.#files].sort()) {
      console.log(
        `  ${program}\n${[...files]
          .sort()
          .map((file) => `    ${file}\n`)
          .join('')}`,
      )
    }
    this.#files.clear()
  }
}
