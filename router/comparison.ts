/** How a code, whose question's vector is long gone, is compared with other codes: by the direction it stands for. */
import { type DecodedCode, dotTable, nearestCells } from './fingerprint.ts'
import { BRANCHES, LEVELS, type Space } from './space.ts'

/** Of 256 cells, how many nearest ones a look-up reads where nobody says otherwise. */
export const PROBES = 11

/** What a look-up needs of a question. */
export interface Compared {
  /** As `dotTable` of fingerprint.ts makes it. */
  table: Float32Array
  /** Nearest first. */
  cells: number[]
}

export interface Comparison {
  of(code: string): Compared
  /** What a code of so many digits tells of its question, beside a full one, 0..1. */
  sharpness(decoded: DecodedCode): number
}

export function createComparison(space: Space, probes: number): Comparison {
  const full = fullLength(space)
  return {
    of(code) {
      const table = dotTable(space, direction(space, code))
      return { table, cells: nearestCells(space, table, probes) }
    },
    // The cosine to be expected between a question and its code is the length of what the code stands for.
    sharpness: ({ digits, norm }) => (digits.length === LEVELS ? 1 : Math.min(1, norm / full)),
  }
}

/** Of what a full code stands for: the root of the mean square lengths of all levels, which add up where they are at right angles. */
function fullLength({ dimensions, cells, levels }: Space): number {
  const sum = (values: Float32Array) => values.reduce((total, value) => total + value * value, 0)
  return Math.sqrt(sum(cells) / (cells.length / dimensions) + sum(levels) / BRANCHES)
}

/** The reconstruction of a code or of a prefix of one, brought to length 1. */
export function direction({ dimensions, cells, levels }: Space, code: string): Float32Array {
  const cell = Number.parseInt(code.slice(0, 2), 16)
  const sum = cells.slice(cell * dimensions, (cell + 1) * dimensions)
  for (let level = 0; level + 2 < code.length; level++) {
    const offset = (level * BRANCHES + Number.parseInt(code.charAt(level + 2), 16)) * dimensions
    for (let i = 0; i < dimensions; i++) sum[i] = (sum[i] as number) + (levels[offset + i] as number)
  }
  let square = 0
  for (const component of sum) square += component * component
  const length = Math.sqrt(square)
  return length > 0 ? sum.map(component => component / length) : sum
}
