import { findBrowser } from './browser.ts'
import { SKIPPING } from './not-installed.ts'

/**
 * For `describe.skipIf`: true, with a warning, if there is no Chromium or Chrome.
 * On CI nothing is skipped in silence: there it throws.
 */
export function missingBrowser(): boolean {
  if (findBrowser() !== undefined) return false
  const message =
    'Chromium or Chrome, by CHROME_PATH or on the PATH: apt-get install chromium, or brew install --cask chromium'
  if (process.env.CI === 'true') throw new Error(message)
  console.warn(SKIPPING + message)
  return true
}
