export type { ImportedAccount, ImportReport, SkippedAccount } from './import.ts'
