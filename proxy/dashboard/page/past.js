/** What the node said of its past, as far back as it is shown. */

const SIX_HOURS = 6 * 3600

export function createPast() {
  let rows = []
  let columns = []
  let current = []
  const at = name => columns.indexOf(name)
  const value = (row, name) => row[at(name)] ?? null

  return {
    /** Seconds that charts show. */
    span: 900,
    /** Since the node started. */
    counts: { advice: {}, received: {}, sent: {}, withheld: {}, deferred: 0 },
    /** Unix seconds of the last point; 0 before there is one. */
    get latest() {
      return rows.at(-1)?.[0] ?? 0
    },
    get times() {
      return rows.map(([time]) => time)
    },
    add(overview) {
      columns = overview.columns
      current = overview.current
      this.counts = overview.counts
      const known = this.latest
      rows.push(...overview.rows.filter(([time]) => time > known))
      rows = rows.filter(([time]) => time > Date.now() / 1000 - SIX_HOURS)
    },
    current: name => value(current, name),
    values: name => rows.map(row => value(row, name)),
    /** A second. */
    rates: name => rows.map(row => value(row, name) / Math.max(value(row, 'seconds'), 0.001)),
    /** The last `seconds`, and what has begun since. */
    last: seconds => ({
      sums(...names) {
        const recent = [...rows.filter(([time]) => time > Date.now() / 1000 - seconds), current]
        return Object.fromEntries(
          names.map(name => [name, recent.reduce((sum, row) => sum + (value(row, name) ?? 0), 0)]),
        )
      },
    }),
  }
}
