/** Whether the long runs are wanted: `npm run test:long`. */
export const LONG = process.env.LONG === '1'

/** How much of something a test does: enough to catch its broken build, or, in a long run, to find what is rare. */
export function length<Amount>({ short, long }: { short: Amount; long: Amount }): Amount {
  return LONG ? long : short
}
