import { cp, glob, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Application, LogLevel } from 'typedoc'
import { root } from '../tracked.ts'
import { doors } from './doors.ts'

/**
 * Writes the API reference, from the doc comments of `src`, as Markdown.
 * @param folder a new one in the checkout; the reference is in its folder `reference`
 * @returns the path of that, and whether typedoc warned: of a link to what is not there, or of a type without a page
 * @throws when the code does not compile
 */
export async function writeReference(folder: string): Promise<{ out: string; warned: boolean }> {
  await copySource(folder)
  const out = join(folder, 'reference')
  // Of the plugin, whose options typedoc's types do not know.
  const markdown = {
    plugin: ['typedoc-plugin-markdown'],
    router: 'member',
    hideBreadcrumbs: true,
    hidePageHeader: true,
    parametersFormat: 'table',
  }
  const application = await Application.bootstrapWithPlugins({
    ...markdown,
    entryPoints: Object.values(doors).map((file) => join(folder, file)),
    tsconfig: join(folder, 'tsconfig.json'),
    out,
    name: 'API reference',
    readme: 'none',
    disableSources: true,
    excludeExternals: true,
    excludePrivate: true,
    // How the type is put together; the reference shows the members.
    intentionallyNotExported: ['AcceptsUndefined', 'MADE_HERE'],
    logLevel: LogLevel.Warn,
  })
  const project = await application.convert()
  if (project === undefined) throw new Error('typedoc has found errors')
  application.validate(project)
  await application.generateOutputs(project)
  if (application.logger.hasErrors()) throw new Error('typedoc has found errors')
  return { out, warned: application.logger.hasWarnings() }
}

const DOOR = /^src\/(?:graph|migrate|redis)\//

/** typedoc leaves out the type of `@throws {Type}`, as TypeScript writes it; of a link it leaves nothing out. */
async function copySource(folder: string): Promise<void> {
  const exported = await readFile(join(root, 'src/index.ts'), 'utf8')
  await cp(join(root, 'src'), join(folder, 'src'), { recursive: true })
  for await (const name of glob('src/**/*.ts', { cwd: folder })) {
    const file = join(folder, name)
    const text = await readFile(file, 'utf8')
    const linked = text.replace(/@throws \{(\w+)\}/g, (_, type: string) =>
      // A link leads to what the same door has.
      !DOOR.test(name) && new RegExp(`\\b${type}\\b`).test(exported)
        ? `@throws {@link ${type}}`
        : `@throws \`${type}\``,
    )
    await writeFile(file, linked)
  }
  const config = { extends: join(root, 'tsconfig.json'), include: ['src'] }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
}
