/** What hosts can import: the name of each door, and its module in `src`. */
export const doors: Readonly<Record<string, string>> = {
  'msal-keyv': 'src/index.ts',
  'msal-keyv/graph': 'src/graph/index.ts',
  'msal-keyv/migrate': 'src/migrate/index.ts',
  'msal-keyv/redis': 'src/redis/index.ts',
}

/** The file of a door's report in `etc`. */
export function reportName(door: string): string {
  return `${door.replace('/', '-')}.api.md`
}

/** As tsup takes them: by the name of the built file. */
export function entries(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(doors).map(([door, file]) => [door.split('/')[1] ?? 'index', file]),
  )
}
