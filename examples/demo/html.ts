/** Markup that needs no escaping any more. */
export interface Html {
  readonly markup: string
}

type Value = Html | readonly Html[] | string | number | undefined

/** A template that escapes whatever is put into it, other than markup. */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  return { markup: String.raw({ raw: strings }, ...values.map(toMarkup)) }
}

function toMarkup(value: Value): string {
  if (value === undefined) return ''
  if (typeof value === 'string' || typeof value === 'number') {
    return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
  }
  return 'markup' in value ? value.markup : value.map(toMarkup).join('')
}

/** A whole page: no script, and nothing loaded from anywhere. */
export function document(title: string, body: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${{ markup: styles }}</style>
</head>
<body>${body}</body>
</html>
`.markup
}

const styles = `
:root {
  color-scheme: light dark;
  --page: light-dark(#f5f6f8, #14171c);
  --card: light-dark(#ffffff, #1d2128);
  --line: light-dark(#dfe3e8, #343a44);
  --text: light-dark(#1b2330, #e6e9ee);
  --quiet: light-dark(#5b6676, #9aa5b4);
  --accent: light-dark(#2457c5, #86aefc);
  --on-accent: light-dark(#ffffff, #101828);
  --good: light-dark(#12703d, #6fd39c);
  --bad: light-dark(#b3261e, #ff9a90);
}
* { box-sizing: border-box }
body {
  margin: 0 auto; max-width: 68rem; padding: 2.5rem 1.25rem 4rem;
  background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif;
}
h1 { margin: 0; font-size: 1.6rem; letter-spacing: -0.01em }
h2 { margin: 0 0 .75rem; font-size: 1.05rem }
p { margin: .25rem 0 }
header { margin-bottom: 1.5rem }
.quiet { color: var(--quiet) }
.good { color: var(--good) }
.bad { color: var(--bad) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.25rem 1.5rem; margin-bottom: 1.25rem }
.narrow { max-width: 26rem; margin: 10vh auto 0 }
.user { font-size: 1.25rem; font-weight: 600 }
.actions { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: 1rem }
button, .button {
  display: inline-block; padding: .5rem 1rem; border: 1px solid var(--line); border-radius: 8px;
  background: transparent; color: var(--text); font: inherit; text-decoration: none; cursor: pointer;
}
button:hover, .button:hover { border-color: var(--accent) }
button:focus-visible, .button:focus-visible, input:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent) }
.danger { color: var(--bad); border-color: currentColor }
label { display: block; margin: 1rem 0 .3rem; font-weight: 600 }
input { width: 100%; padding: .55rem .75rem; border: 1px solid var(--line); border-radius: 8px; background: var(--page); color: var(--text); font: inherit }
code { font: .85em/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.25rem; margin: .5rem 0 0 }
dt { color: var(--quiet) }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere }
.scroll { overflow-x: auto }
table { width: 100%; min-width: 52rem; border-collapse: collapse; font-size: .92rem }
th { text-align: left; font-weight: 500; color: var(--quiet) }
th strong { color: var(--text) }
tbody + tbody th { padding-top: 1.25rem }
th, td { padding: .6rem 1rem .6rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
tr:last-child td { border-bottom: 0 }
.nowrap { white-space: nowrap }
`
