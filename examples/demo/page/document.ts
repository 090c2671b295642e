import { type Html, html } from './html.ts'

/**
 * A whole page, which loads nothing from elsewhere.
 * @param head what it loads beside what every page does
 */
export function document(title: string, body: Html, head?: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/base.css">
${head}
</head>
<body>${body}</body>
</html>
`.markup
}
