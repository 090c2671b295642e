/** What the matrix covers: the oldest that is promised of each, and the newest. npm resolves a range to its newest. */
export const matrix = {
  node: ['22.12.0', '22', '24', '26'],
  otherRuntimes: ['bun', 'deno'],
  msal: ['3.8.0', '3.8', '5.0.4', '5', '6.0.0', '6', '7.0.0', '7'],
  keyv: ['5.6.0', '6'],
  typescript: ['5.9', '6', '7'],
  resolutions: ['node16', 'nodenext', 'bundler'],
} as const

/** What the install line of README.md installs: the other tables keep to it. */
export const recommended = { msal: '7', keyv: '5.6.0' } as const
