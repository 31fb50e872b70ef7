/** What the bench found, as pictures for the documentation. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BaseResult } from './base.ts'
import type { PoisoningResult } from './poisoning.ts'
import type { SizesResult } from './sizes.ts'

interface Results {
  base: BaseResult | undefined
  sizes: SizesResult | undefined
  poisoning: PoisoningResult | undefined
}

const COLOURS = ['#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377', '#bbbbbb']

const METHOD_NAMES: Readonly<Record<string, string>> = {
  local: 'site alone',
  seed: 'published rule',
  swarm: 'with the swarm',
  central: 'all pooled',
}

function named(figures: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).map(([name, figure]) => [METHOD_NAMES[name] ?? name, figure]))
}

export function drawCharts(folder: string, { base, sizes, poisoning }: Results): void {
  mkdirSync(folder, { recursive: true })
  const write = (name: string, svg: string) => writeFileSync(join(folder, name), svg)
  if (base) {
    const groups = { 'without domain tags': named(base.bss), 'with them': named(base.bss_tagged) }
    write('outcomes-methods.svg', bars('Brier skill against the base rate', groups))
  }
  if (sizes) {
    const { n, bss } = sizes.by_n
    write('outcomes-nodes.svg', lines('Brier skill by the number of nodes', n.map(String), { swarm: bss }))
  }
  if (poisoning) {
    const rows = poisoning.poisoning.filter(({ feedback }) => feedback === 20)
    const shares = [...new Set(rows.map(({ liars }) => liars))]
    const attacks = [...new Set(rows.map(({ attack }) => attack))]
    const series = Object.fromEntries(
      attacks.map(attack => [
        attack,
        shares.map(share => rows.find(row => row.attack === attack && row.liars === share)?.dbrier ?? Number.NaN),
      ]),
    )
    const labels = shares.map(share => `${100 * share} %`)
    write(
      'outcomes-liars.svg',
      lines('Rise of the Brier score by the share of liars, 20 local outcomes', labels, series),
    )
  }
}

const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM, RIGHT] = [640, 320, 60, 36, 40, 120]

function frame(title: string, lowest: number, highest: number, body: (y: (value: number) => number) => string): string {
  const step = roundStep((highest - lowest) / 4 || 1)
  const [first, last] = [Math.floor(lowest / step), Math.ceil(highest / step)]
  const y = (value: number) => TOP + ((last - value / step) / (last - first)) * (HEIGHT - TOP - BOTTOM)
  const marks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step)
  const grid = marks
    .map(
      mark =>
        `<path d="M${LEFT} ${y(mark).toFixed(1)}H${WIDTH - RIGHT}" stroke="#ddd"/>` +
        `<text x="${LEFT - 6}" y="${(y(mark) + 4).toFixed(1)}" text-anchor="end">${mark.toFixed(2)}</text>`,
    )
    .join('')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11"><title>${title}</title><rect width="100%" height="100%" fill="white"/><text x="${LEFT}" y="20" font-size="13">${title}</text>${grid}${body(y)}</svg>\n`
}

/** The least of 1, 2, 5, 10 … times a power of ten that is no less. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  return power * ([1, 2, 5].find(factor => factor * power >= least * (1 - 1e-9)) ?? 10)
}

function key(names: readonly string[]): string {
  return names
    .map(
      (name, i) =>
        `<rect x="${WIDTH - RIGHT + 12}" y="${TOP + 18 * i}" width="10" height="10" fill="${COLOURS[i % COLOURS.length]}"/>` +
        `<text x="${WIDTH - RIGHT + 28}" y="${TOP + 9 + 18 * i}">${name}</text>`,
    )
    .join('')
}

function bars(title: string, groups: Record<string, Record<string, number>>): string {
  const names = Object.keys(Object.values(groups)[0] ?? {})
  const values = Object.values(groups)
    .flatMap(group => Object.values(group))
    .filter(Number.isFinite)
  const width = (WIDTH - LEFT - RIGHT) / Object.keys(groups).length
  const bar = (width * 0.8) / names.length
  return frame(title, Math.min(0, ...values), Math.max(...values), y =>
    Object.entries(groups)
      .map(([label, group], at) => {
        const x = LEFT + at * width + width * 0.1
        const columns = names.map((name, i) => {
          const value = group[name] ?? 0
          const [top, bottom] = [y(Math.max(0, value)), y(Math.min(0, value))]
          return `<rect x="${(x + i * bar).toFixed(1)}" y="${top.toFixed(1)}" width="${(bar * 0.9).toFixed(1)}" height="${(bottom - top).toFixed(1)}" fill="${COLOURS[i % COLOURS.length]}"/>`
        })
        return `${columns.join('')}<text x="${(x + width * 0.4).toFixed(1)}" y="${HEIGHT - 16}" text-anchor="middle">${label}</text>`
      })
      .join('')
      .concat(key(names)),
  )
}

function lines(title: string, labels: readonly string[], series: Record<string, readonly number[]>): string {
  const values = Object.values(series).flat().filter(Number.isFinite)
  const x = (i: number) => LEFT + 20 + (i * (WIDTH - LEFT - RIGHT - 40)) / Math.max(1, labels.length - 1)
  return frame(title, Math.min(0, ...values), Math.max(...values), y =>
    Object.values(series)
      .map((line, i) => {
        const points = line.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`)
        return `<polyline points="${points.join(' ')}" fill="none" stroke="${COLOURS[i % COLOURS.length]}" stroke-width="2"/>`
      })
      .concat(
        labels.map(
          (label, i) => `<text x="${x(i).toFixed(1)}" y="${HEIGHT - 16}" text-anchor="middle">${label}</text>`,
        ),
      )
      .join('')
      .concat(key(Object.keys(series))),
  )
}
