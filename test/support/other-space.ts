/** Another implementation of spaces and fingerprints, written from docs/protocol.md alone: slow, plain, and independent. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface OtherSpace {
  id: string
  /** 16 hex digits. */
  encode(vector: ArrayLike<number>): string
  /** Cosine of the projected vector and a decoded code. */
  similarity(vector: ArrayLike<number>, code: string): number
  /** How many reference texts begin with these 2, 3 or 4 digits. */
  count(prefix: string): number
}

export function openSpace(folder: string): OtherSpace {
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'))
  const inputs: number = manifest.embedder.dimensions
  const size: number = manifest.dimensions
  const numbers = halves(readFileSync(join(folder, 'codebook.bin')))
  const rows = (count: number, width: number) => Array.from({ length: count }, () => numbers.splice(0, width))
  const [mean = []] = rows(1, inputs)
  const projection = manifest.projection ? rows(size, inputs) : undefined
  const cells = rows(256, size)
  const levels = Array.from({ length: 14 }, () => rows(16, size))
  const counts = readFileSync(join(folder, 'counts.bin'))

  const project = (vector: ArrayLike<number>) => {
    const centred = mean.map((value, at) => (vector[at] ?? 0) - value)
    const projected = projection ? projection.map(row => dot(row, centred)) : centred
    const length = Math.sqrt(dot(projected, projected))
    return projected.map(value => value / length)
  }
  const centroids = (code: string) => [
    cells[Number.parseInt(code.slice(0, 2), 16)] ?? [],
    ...[...code.slice(2)].map((digit, level) => levels[level]?.[Number.parseInt(digit, 16)] ?? []),
  ]

  return {
    id: createHash('sha256').update(canonical(manifest)).digest('hex').slice(0, 8),
    encode(vector) {
      let left = project(vector)
      let code = ''
      for (const table of [cells, ...levels]) {
        const distances = table.map(row => dot(minus(left, row), minus(left, row)))
        const nearest = distances.indexOf(Math.min(...distances))
        left = minus(left, table[nearest] ?? [])
        code += nearest.toString(16).padStart(table === cells ? 2 : 1, '0')
      }
      return code
    },
    similarity(vector, code) {
      const decoded = centroids(code).reduce((sum, row) => sum.map((value, at) => value + (row[at] ?? 0)))
      return dot(project(vector), decoded) / Math.sqrt(dot(decoded, decoded))
    },
    count(prefix) {
      const span = 16 ** (4 - prefix.length)
      const first = Number.parseInt(prefix, 16) * span
      return Array.from({ length: span }, (_, at) => counts.readUInt16LE(2 * (first + at))).reduce((a, b) => a + b)
    },
  }
}

function halves(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 2 }, (_, at) => {
    const bits = bytes.readUInt16LE(2 * at)
    const exponent = (bits >> 10) & 31
    const fraction = bits & 1023
    const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25)
    return bits & 0x8000 ? -size : size
  })
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const keys = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${keys.map(([key, held]) => `${JSON.stringify(key)}:${canonical(held)}`).join(',')}}`
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0)
}

function minus(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, at) => value - (b[at] ?? 0))
}
