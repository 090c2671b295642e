import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'

const types = { css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' }

const assets = new Map([load('base', 'css'), load('page', 'css'), load('page', 'js'), load('icon', 'svg')])

/** Answers a request for a file that the pages load, and says whether it was one. */
export function sendAsset(request: IncomingMessage, response: ServerResponse): boolean {
  const asset = assets.get(request.url ?? '')
  if (!asset) return false
  response.setHeader('content-type', `${asset.type}; charset=utf-8`)
  response.setHeader('cache-control', 'no-cache')
  response.setHeader('x-content-type-options', 'nosniff')
  response.end(asset.body)
  return true
}

function load(name: string, extension: keyof typeof types): [path: string, { type: string; body: Buffer }] {
  const file = `${name}.${extension}`
  const body = readFileSync(new URL(`assets/${file}`, import.meta.url))
  return [`/${file}`, { type: types[extension], body }]
}
