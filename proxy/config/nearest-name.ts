/** Finds what a mistyped name was meant to be. */

/** So many letters may be wrong, missing or too many. */
const MAX_DISTANCE = 2

/** The name most like `typed`, or undefined when none is near. */
export function nearestName(typed: string, names: readonly string[]): string | undefined {
  const [nearest] = names
    .map(name => ({ name, distance: name.startsWith(typed) ? 0 : editDistance(typed, name) }))
    .filter(({ name, distance }) => distance <= Math.min(MAX_DISTANCE, name.length / 2))
    .sort((a, b) => a.distance - b.distance)
  return typed === '' ? undefined : nearest?.name
}

/** Insertions, deletions and substitutions that turn one into the other (Levenshtein 1965). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1]
    for (let j = 0; j < to.length; j++) {
      const [left = 0, above = 0, corner = 0] = [next[j], row[j + 1], row[j]]
      next.push(Math.min(left + 1, above + 1, corner + (letter === to[j] ? 0 : 1)))
    }
    row = next
  }
  return row[to.length] ?? 0
}
