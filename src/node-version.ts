/**
 * Imported first. npm only warns about `engines`, and an older Node would fail later, at the first sign-in, with a
 * message that names neither the library nor the cause.
 */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 12)) {
  throw new Error(`msal-keyv needs Node.js 22.12 or later; this is ${process.versions.node}`)
}
