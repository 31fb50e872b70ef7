/** The tables that people read. */

export type Rows = Record<string, Record<string, number | null>>

/** Four digits are more than the samples give. */
export function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toFixed(4)) : value
}

/** One column for each of `rows`, one line for each figure. */
export function printTable(say: (line: string) => void, title: string, rows: Rows): void {
  const names = Object.keys(rows)
  say(`\n${title.padEnd(34)}${names.map(name => name.padStart(11)).join('')}`)
  for (const figure of Object.keys(Object.values(rows)[0] ?? {})) {
    const cells = names.map(name => {
      const value = rows[name]?.[figure]
      return (typeof value === 'number' ? String(Number(value.toFixed(4))) : '-').padStart(11)
    })
    say(`${figure.replaceAll('_', ' ').padEnd(34)}${cells.join('')}`)
  }
}
