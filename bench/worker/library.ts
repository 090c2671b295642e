import { Keyv } from 'keyv'
import { EntraStandIn } from '../../test/support/entra.ts'

type Library = typeof import('../../src/index.ts')
export type LibraryName = 'dist' | 'src'

/** How answers are remembered, in the options of `ConfidentialClients`. */
export interface RememberedAnswers {
  readonly rememberedAnswers?: false | { readonly entries?: number; readonly bytes?: number }
}

export interface LoadedLibrary extends Library {
  /** Whether it has the option `rememberedAnswers`. */
  readonly remembers: boolean
}

/** The library as its users import it, from `dist`, or from its source. */
export async function loadLibrary(name: LibraryName): Promise<LoadedLibrary> {
  const specifier: string = name === 'dist' ? 'msal-keyv' : '../../src/index.ts'
  const library = (await import(specifier)) as Library
  return { ...library, remembers: remembers(library) }
}

function remembers({ ConfidentialClients, ConfigurationError }: Library): boolean {
  const options: RememberedAnswers = { rememberedAnswers: false }
  try {
    new ConfidentialClients(new EntraStandIn().configuration(), { store: new Keyv(), ...options })
    return true
  } catch (error) {
    if (error instanceof ConfigurationError) return false
    throw error
  }
}
