import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor'
import { build } from 'tsup'
import { root } from '../tracked.ts'
import { doors, entries, reportName } from './doors.ts'

/**
 * Writes an API report for each door, of the declarations as hosts get them.
 * @param folder a temporary one within the checkout, so that the declarations find what they import
 * @throws when the declarations do not compile
 */
export async function writeReport(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await build({
    config: false,
    silent: true,
    entry: entries(),
    outDir: folder,
    format: 'esm',
    dts: { only: true },
  })
  for (const door of Object.keys(doors)) reportDoor(folder, door)
}

function reportDoor(folder: string, door: string): void {
  const logLevel = ExtractorLogLevel.None
  const config = ExtractorConfig.prepare({
    configObjectFullPath: join(root, 'api-extractor.json'),
    packageJsonFullPath: join(root, 'package.json'),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(folder, `${door.split('/')[1] ?? 'index'}.d.ts`),
      newlineKind: 'lf',
      compiler: { tsconfigFilePath: join(root, 'tsconfig.json') },
      apiReport: {
        enabled: true,
        reportFileName: reportName(door),
        reportFolder: folder,
        reportTempFolder: join(folder, 'temp'),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        // The doc comments follow TypeScript's tags, such as `@throws {Type}`; typedoc reads them.
        tsdocMessageReporting: { default: { logLevel } },
        extractorMessageReporting: { 'ae-missing-release-tag': { logLevel } },
      },
    },
  })
  const { errorCount } = Extractor.invoke(config, {
    localBuild: true,
    messageCallback(message) {
      // What is wrong with the API stands in the report, where a review sees it; the rest is progress.
      message.handled = message.logLevel !== ExtractorLogLevel.Error
    },
  })
  if (errorCount > 0) throw new Error('API Extractor has found errors')
}
