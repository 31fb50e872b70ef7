/** Figures in words, and rows in columns, for people at a terminal. */

const UNITS: [seconds: number, name: string][] = [
  [24 * 3600, 'd'],
  [3600, 'h'],
  [60, 'min'],
]

/** `3 d`, `2 h`, `5 min`, `12 s`: the largest unit alone. */
export function duration(seconds: number): string {
  const unit = UNITS.find(([size]) => seconds >= size)
  return unit ? `${Math.floor(seconds / unit[0])} ${unit[1]}` : `${Math.max(0, Math.floor(seconds))} s`
}

/** `1 peer`, `2 peers` */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`
}

/** Under their headings, each column as wide as its widest cell; nothing where there are no rows. */
export function columns(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows]
  const widths = headings.map((_, at) => Math.max(...all.map(row => row[at]?.length ?? 0)))
  const written = all.map(row =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return rows.length === 0 ? '' : `${written.join('\n')}\n`
}
