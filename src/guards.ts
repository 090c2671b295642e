import { ConfigurationError } from './errors.ts'

/** A GUID as Entra ID writes its ids, for use in a regular expression. */
export const GUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
const WHOLE_GUID = new RegExp(`^${GUID}$`)

/** An object that is no array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isString(value: unknown): value is string {
  return typeof value === 'string'
}

/** A string that is not empty. */
export function isText(value: unknown): value is string {
  return isString(value) && value !== ''
}

/** A string with more than white space in it. */
export function isName(value: unknown): value is string {
  return isString(value) && value.trim() !== ''
}

/** A GUID in any letter case, in lower case; undefined for anything else. */
export function guidOf(value: unknown): string | undefined {
  const id = isString(value) ? value.toLowerCase() : ''
  return WHOLE_GUID.test(id) ? id : undefined
}

/** What a JSON text stands for; undefined for a text that is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * That these are options, all of them known.
 * @param among the names of all options
 * @param demand what to say of anything but an object
 * @param prefix before the name of an unknown option
 * @throws {ConfigurationError}
 */
export function checkOptions(
  options: unknown,
  among: readonly string[],
  demand = 'options must be an object',
  prefix = '',
): void {
  if (typeof options !== 'object' || options === null) throw new ConfigurationError(demand)
  const unknown = Object.keys(options).find((name) => !among.includes(name))
  if (unknown === undefined) return
  throw new ConfigurationError(`${prefix}${unknown} is not an option: remove it, or correct its name`)
}
