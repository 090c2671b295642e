/** Generated blocks in a Markdown page that people write: `<!-- bench:name -->` … `<!-- /bench:name -->`. */
const BLOCK = /(<!-- bench:([\w-]+) -->\n)[\s\S]*?(\n?<!-- \/bench:\2 -->)/g

/**
 * @returns the page with the blocks in it
 * @throws {Error} when the page has no place for a block, or a place for none
 */
export function fillPage(page: string, blocks: Readonly<Record<string, string>>): string {
  const unused = new Set(Object.keys(blocks))
  const filled = page.replace(BLOCK, (_, begin: string, name: string) => {
    const block = blocks[name]
    if (block === undefined) throw new Error(`the page has a place for ${name}, which is no block`)
    unused.delete(name)
    return `${begin}\n${block}\n\n<!-- /bench:${name} -->`
  })
  if (unused.size > 0) throw new Error(`the page has no place for ${[...unused].join(', ')}`)
  return filled
}
