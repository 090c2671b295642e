// Which files are the project's, whatever commands have left beside them.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join, matchesGlob } from 'node:path'

export const root = join(import.meta.dirname, '..')

/**
 * The files that git tracks, or, where git does not know them (an unpacked archive), those that `.gitignore` does not
 * name. A new file counts once it is added.
 * @param folder the project's root, or a copy of it
 * @returns their paths from the folder, sorted
 */
export function allTrackedFiles(folder = root): string[] {
  return (filesInIndex(folder) ?? filesNotIgnored(folder)).sort()
}

/** Those of them that match one of the globs. */
export function trackedFiles(...globs: readonly string[]): string[] {
  return allTrackedFiles().filter((file) => globs.some((glob) => matchesGlob(file, glob)))
}

/** Copies tracked files, with their folders. */
export async function copyTracked(files: readonly string[], folder: string): Promise<void> {
  for (const file of files) await cp(join(root, file), join(folder, file))
}

function filesInIndex(folder: string): string[] | undefined {
  // Not the repository of a folder above.
  if (!existsSync(join(folder, '.git'))) return undefined
  try {
    const listed = execFileSync('git', ['ls-files', '-z'], { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
    return listed.split('\0').filter((file) => file !== '' && existsSync(join(folder, file)))
  } catch {
    // Git is not installed, or does not trust somebody else's folder.
    return undefined
  }
}

/** By the rules that our `.gitignore` uses: the name of a file, of a folder with a slash behind, or a path. */
function filesNotIgnored(folder: string): string[] {
  const rules = readFileSync(join(folder, '.gitignore'), 'utf8').split('\n').filter(Boolean)
  const isIgnored = (path: string, isFolder: boolean) =>
    rules.some((rule) => {
      const pattern = rule.replace(/\/$/, '')
      const isFit = isFolder || pattern === rule
      return isFit && matchesGlob(path, pattern.includes('/') ? pattern : `**/${pattern}`)
    })
  const within = (path: string): string[] =>
    readdirSync(join(folder, path), { withFileTypes: true }).flatMap((entry) => {
      const inner = path === '' ? entry.name : `${path}/${entry.name}`
      if (inner === '.git' || isIgnored(inner, entry.isDirectory())) return []
      return entry.isDirectory() ? within(inner) : [inner]
    })
  return within('')
}
