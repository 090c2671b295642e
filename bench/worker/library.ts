export type Library = typeof import('../../src/index.ts')
export type LibraryName = 'dist' | 'src'

/** The library as its users import it, from `dist`, or from its source. */
export async function loadLibrary(name: LibraryName): Promise<Library> {
  const specifier: string = name === 'dist' ? 'msal-keyv' : '../../src/index.ts'
  return (await import(specifier)) as Library
}
