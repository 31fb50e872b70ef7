/** Keeps a metric's label from growing with what clients send. */

/** What is told of the rest. */
export const REST = 'other'
const MAX_CHARS = 64

/** The first `max` different values as they are, at most 64 characters of each; `other` for those that come after. */
export function boundedLabel(max: number): (value: string) => string {
  const known = new Set<string>()
  return value => {
    const short = value.slice(0, MAX_CHARS)
    if (known.has(short)) return short
    if (known.size >= max) return REST
    known.add(short)
    return short
  }
}
