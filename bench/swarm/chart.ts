/** The chart of docs/scaling.md: what a look-up costs against the size of the swarm, measured and simulated. */

export interface Series {
  name: string
  points: readonly (readonly [nodes: number, value: number])[]
  /** Dots for what was measured, lines for what was simulated. */
  mark: 'dots' | 'line' | 'dashes'
  colour: string
}

const WIDTH = 720
const HEIGHT = 420
const LEFT = 60
const RIGHT = 20
const TOP = 46
const BOTTOM = 50
const X = { from: 4, to: 131_072 }
const Y = { from: 1, to: 1_024 }

/** Both axes are logarithmic. */
export function drawChart(title: string, axis: string, series: readonly Series[]): string {
  const x = (nodes: number) => LEFT + (WIDTH - LEFT - RIGHT) * share(nodes, X)
  const y = (value: number) => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share(value, Y)
  const parts: string[] = []
  for (let nodes = X.from; nodes <= X.to; nodes *= 2) {
    parts.push(`<line x1="${at(x(nodes))}" y1="${TOP}" x2="${at(x(nodes))}" y2="${HEIGHT - BOTTOM}" class="grid"/>`)
    if (Math.log2(nodes) % 2 === 1) continue
    parts.push(`<text x="${at(x(nodes))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${label(nodes)}</text>`)
  }
  for (let value = Y.from; value <= Y.to; value *= 4) {
    parts.push(`<line x1="${LEFT}" y1="${at(y(value))}" x2="${WIDTH - RIGHT}" y2="${at(y(value))}" class="grid"/>`)
    parts.push(`<text x="${LEFT - 8}" y="${at(y(value) + 4)}" text-anchor="end">${label(value)}</text>`)
  }
  parts.push(`<text x="${WIDTH / 2}" y="${HEIGHT - 10}" text-anchor="middle">nodes</text>`)
  parts.push(`<text x="16" y="${TOP - 12}">${axis}</text>`)
  parts.push(`<text x="16" y="20" class="title">${title}</text>`)
  series.forEach(({ name, points, mark, colour }, index) => {
    const places = points.map(([nodes, value]) => `${at(x(nodes))},${at(y(Math.max(Y.from, value)))}`)
    const dash = mark === 'dashes' ? ' stroke-dasharray="6 4"' : ''
    if (mark === 'dots') {
      for (const place of places) {
        const [cx, cy] = place.split(',')
        parts.push(`<circle cx="${cx}" cy="${cy}" r="5" fill="${colour}"/>`)
      }
    } else {
      parts.push(`<polyline points="${places.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"${dash}/>`)
    }
    const top = TOP + 16 + 20 * index
    parts.push(
      mark === 'dots'
        ? `<circle cx="${LEFT + 24}" cy="${top - 4}" r="5" fill="${colour}"/>`
        : `<line x1="${LEFT + 12}" y1="${top - 4}" x2="${LEFT + 36}" y2="${top - 4}" stroke="${colour}" stroke-width="2"${dash}/>`,
      `<text x="${LEFT + 44}" y="${top}">${name}</text>`,
    )
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
<style>text{font:13px sans-serif;fill:#333}.title{font-weight:bold}.grid{stroke:#ddd}</style>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
${parts.join('\n')}
</svg>
`
}

function share(value: number, { from, to }: { from: number; to: number }): number {
  return Math.log(value / from) / Math.log(to / from)
}

function at(place: number): string {
  return place.toFixed(1)
}

function label(value: number): string {
  return value.toLocaleString('en')
}
