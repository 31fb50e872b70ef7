/** How a code, whose question's vector is long gone, is compared with other codes: by the direction it stands for. */
import { dotTable, nearestCells } from './fingerprint.ts'
import { BRANCHES, type Space } from './space.ts'

/** What a look-up needs of a question. */
export interface Compared {
  /** As `dotTable` of fingerprint.ts makes it. */
  table: Float32Array
  /** Nearest first. */
  cells: number[]
}

export function comparedBy(space: Space, probes: number): (code: string) => Compared {
  return code => {
    const table = dotTable(space, direction(space, code))
    return { table, cells: nearestCells(space, table, probes) }
  }
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
