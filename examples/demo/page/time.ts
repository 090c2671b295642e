import { type Html, html } from './html.ts'

const relative = new Intl.RelativeTimeFormat('en')

/** When that will be, or was, seen from now. */
export function fromNow(date: Date): Html {
  const minutes = Math.round((date.getTime() - Date.now()) / 60_000)
  const [amount, unit] =
    Math.abs(minutes) < 120
      ? ([minutes, 'minute'] as const)
      : Math.abs(minutes) < 48 * 60
        ? ([Math.round(minutes / 60), 'hour'] as const)
        : ([Math.round(minutes / 1440), 'day'] as const)
  return html`<time datetime="${date.toISOString()}">${relative.format(amount, unit)}</time>`
}

export function timeOfDay(date: Date): Html {
  return html`<time datetime="${date.toISOString()}">${date.toTimeString().slice(0, 8)}</time>`
}

/** With as many digits as matter. */
export function milliseconds(duration: number): string {
  return `${duration < 10 ? duration.toFixed(1) : Math.round(duration)} ms`
}
