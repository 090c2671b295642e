/** `npm run demo` installs little. Here: it is enough, and it is of the versions that the tests are run with. */
import { mkdir, readFile, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { copyTracked, root, trackedFiles } from '../../tools/tracked.ts'
import { HttpBrowser } from '../support/http-browser.ts'
import { makeFolder, removeFolder } from '../support/programs.ts'
import { startDemo } from './started-demo.ts'

const install = 'examples/demo/install'

test('the demo runs with nothing but what its own install brings', async () => {
  const folder = await makeFolder()
  onTestFinished(() => removeFolder(folder))
  await copyTracked(trackedFiles('package.json', 'src/**', 'examples/demo/**'), folder)
  for (const name of Object.keys((await readPackage(install)).dependencies)) {
    const link = join(folder, install, 'node_modules', name)
    await mkdir(dirname(link), { recursive: true })
    await symlink(join(root, 'node_modules', name), link)
  }

  const [, ...args] = (await readPackage(install)).scripts.start.split(' ')
  const demo = await startDemo({ cwd: join(folder, install) }, args)
  const { url } = demo
  expect(url, demo.complaints()).not.toBe('')
  const alice = new HttpBrowser()
  const login = await alice.get(`${url}/signin`)
  expect((await alice.post(login.url, { name: 'alice' })).outcome).toContain('Signed in')
  expect((await alice.post(`${url}/token`)).outcome).toContain('The API knows you as alice')
  expect(await demo.end()).toEqual([0, null])
})

test('of the versions that the repository itself is developed with', async () => {
  const { dependencies, devDependencies } = await readPackage('.')
  expect({ ...devDependencies, ...dependencies }).toMatchObject((await readPackage(install)).dependencies)
})

test('and one command does both', async () => {
  expect((await readPackage('.')).scripts.demo).toMatch(
    /^npm install --prefix examples\/demo\/install .*&& npm start .*--prefix examples\/demo\/install$/,
  )
})

interface Package {
  scripts: { demo: string; start: string }
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}

async function readPackage(folder: string): Promise<Package> {
  return JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'))
}
