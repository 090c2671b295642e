import { findBrowser } from './browser.ts'

/**
 * For `describe.skipIf`: true, with a warning, if there is no Chromium or Chrome.
 * On CI nothing is skipped in silence: there it throws.
 */
export function missingBrowser(): boolean {
  if (findBrowser() !== undefined) return false
  const message = 'no Chromium or Chrome on this machine (CHROME_PATH, PATH)'
  if (process.env.CI === 'true') throw new Error(message)
  console.warn(`SKIPPING TESTS: ${message}`)
  return true
}
