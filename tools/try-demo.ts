// node tools/try-demo.ts <URL>: signs in to the demo that runs there, and fails where that does not work.
import { HttpBrowser } from '../test/support/http-browser.ts'

const [url] = process.argv.slice(2)
if (url === undefined) throw new Error('the URL of the running demo is missing')
const browser = new HttpBrowser()
const login = await browser.get(`${url}/signin`)
says(await browser.post(login.url, { name: 'alice' }), 'Signed in')
says(await browser.post(`${url}/token`), 'The API knows you as alice')
says(await browser.post(`${url}/evict`), 'The tokens are gone')
console.log(`Signed in, called the API and evicted the account at ${url}`)

function says({ outcome, text }: { outcome: string; text: string }, expected: string): void {
  if (!outcome.includes(expected)) throw new Error(`the demo does not say "${expected}":\n${outcome || text}`)
}
