/** Markup that needs no escaping any more. */
export interface Html {
  readonly markup: string
}

type Value = Html | readonly Html[] | string | number | false | undefined

/** A template that escapes whatever is put into it, other than markup. */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  return { markup: String.raw({ raw: strings }, ...values.map(toMarkup)) }
}

function toMarkup(value: Value): string {
  if (value === undefined || value === false) return ''
  if (typeof value === 'string' || typeof value === 'number') {
    return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
  }
  return 'markup' in value ? value.markup : value.map(toMarkup).join('')
}
