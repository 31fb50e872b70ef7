/** Time series, drawn by uPlot; beside each stands in words what it shows, for those who do not see it. */
import { make } from './dom.js'

const HEIGHT = 190
/** A script of its own, which no module can import. */
const { uPlot } = /** @type {{uPlot: typeof import('uplot')}} */ (/** @type {unknown} */ (globalThis))
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const charts = new Set()

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const chart of charts) chart.redraw()
})

/**
 * @param {HTMLElement} figure
 * @param {{title: string, series: {label: string, colour: string, dash?: number[], fill?: string}[],
 *   say: (value: number) => string, signed?: boolean}} options `say` writes a value; `signed` where it may be below 0
 * @returns {{show(times: number[], values: (number | null)[][], span: number): void}} `span` in seconds
 */
export function createChart(figure, { title, series, say, signed = false }) {
  const words = make('p', { class: 'note' })
  const place = make('div', { class: 'chart', 'aria-hidden': 'true' })
  figure.append(make('figcaption', {}, make('h3', {}, title), words), place)
  const axis = {
    stroke: () => colour('--quiet'),
    grid: { stroke: () => colour('--line'), width: 1 },
    ticks: { show: false },
  }
  /** @type {[from: number, to: number]} */
  let shown = [0, 1]
  const chart = new uPlot(
    {
      width: Math.max(200, place.clientWidth),
      height: HEIGHT,
      cursor: { drag: { x: false, y: false } },
      scales: {
        x: { range: () => shown },
        y: { range: (_chart, low, high) => rangeOf(low ?? 0, high ?? 0, signed) },
      },
      axes: [
        { ...axis, values: clock },
        { ...axis, size: 56, values: (_chart, splits) => splits.map(value => (value === null ? '' : say(value))) },
      ],
      series: [
        { value: '{HH}:{mm}:{ss}' },
        ...series.map(({ label, colour: name, dash, fill }) => ({
          label,
          stroke: () => colour(name),
          ...(fill && { fill: () => colour(fill) }),
          ...(dash && { dash }),
          width: 2,
          points: { size: 5, fill: () => colour(name), filter: alone },
          value: (_chart, value) => (value === null ? '–' : say(value)),
        })),
      ],
    },
    [[], ...series.map(() => [])],
    place,
  )
  charts.add(chart)
  new ResizeObserver(() => {
    if (place.clientWidth > 0) chart.setSize({ width: place.clientWidth, height: HEIGHT })
  }).observe(place)

  return {
    show(times, values, span) {
      const now = Date.now() / 1000
      shown = [now - span, now]
      chart.setData([times, ...values])
      words.textContent = series
        .map(({ label }, at) => describe(label, values[at] ?? [], times, now - span, say))
        .join(' ')
    },
  }
}

function describe(label, values, times, from, say) {
  const known = values.filter((value, at) => value !== null && times[at] >= from)
  if (known.length === 0) return `${label}: nothing yet.`
  return `${label}: last ${say(known.at(-1))}, at most ${say(Math.max(...known))}.`
}

/** Values with none beside them, which no line would show. */
function alone(chart, series) {
  const values = chart.data[series]
  const known = at => typeof values[at] === 'number'
  return values.map((_value, at) => at).filter(at => known(at) && !known(at - 1) && !known(at + 1))
}

/**
 * @param {number} low
 * @param {number} high
 * @param {boolean} signed
 * @returns {[from: number, to: number]}
 */
function rangeOf(low, high, signed) {
  const top = high > 0 ? high * 1.15 : 1
  if (!signed) return [0, top]
  const most = Math.max(Math.abs(low), Math.abs(high), 0.02) * 1.2
  return [-most, most]
}

const clocks = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const clock = (_chart, splits) => splits.map(time => clocks.format(time * 1000))
