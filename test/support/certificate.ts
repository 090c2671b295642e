import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { requireProgram } from './programs.ts'

const execute = promisify(execFile)

export interface Certificate {
  readonly key: string
  readonly cert: string
  /** Where `cert` lies, for NODE_EXTRA_CA_CERTS. */
  readonly path: string
}

/**
 * A certificate that signs itself.
 * @param name such as `IP:127.0.0.1` or `DNS:localhost`
 */
export async function selfSigned(folder: string, name: string): Promise<Certificate> {
  const [key, path] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const request = `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext subjectAltName=${name}`
  await execute(requireProgram('openssl'), [...request.split(' '), '-keyout', key, '-out', path])
  return { key: await readFile(key, 'utf8'), cert: await readFile(path, 'utf8'), path }
}
