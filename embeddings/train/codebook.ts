/** From sampled vectors to the tables of a space, already rounded to the float16 that they ship in. */
import { project } from '../../router/fingerprint.ts'
import { productsOf, type Tables } from '../../router/products.ts'
import { BRANCHES, CELLS, LEVELS, type Space } from '../../router/space.ts'
import type { Random } from './corpus.ts'
import { assign, kMeans, meanOf, type PrincipalDirections, principalDirections, subtractAssigned } from './matrix.ts'

/**
 * A space that has no counts yet.
 *
 * @param raw sampled embedder vectors, row-major, none of them zero
 * @param dimensions of the projection; when equal to `inputDimensions`, vectors are only centred
 */
export function trainTables(
  name: string,
  raw: Float32Array,
  inputDimensions: number,
  dimensions: number,
  random: Random,
): Space {
  const mean = toFloat16(meanOf(raw, inputDimensions))
  const projection =
    dimensions === inputDimensions
      ? undefined
      : toFloat16(flatten(principalDirections(raw, inputDimensions, mean, dimensions, random)))
  const tables: Tables = {
    inputDimensions,
    dimensions,
    mean,
    projection,
    cells: new Float32Array(CELLS * dimensions),
    levels: new Float32Array(LEVELS * BRANCHES * dimensions),
  }
  /** Good for projecting; its codebook is what is made here. */
  const draft: Space = {
    id: '',
    name,
    ...tables,
    products: productsOf(tables),
    counts: [new Uint32Array(0x100), new Uint32Array(0x1000), new Uint32Array(0x10000)],
    golden: [],
  }

  const count = raw.length / inputDimensions
  const residuals = new Float32Array(count * dimensions)
  for (let row = 0; row < count; row++) {
    const vector = raw.subarray(row * inputDimensions, (row + 1) * inputDimensions)
    residuals.set(project(draft, vector), row * dimensions)
  }
  const quantise = (k: number): Float32Array => {
    const centroids = toFloat16(kMeans(residuals, dimensions, k, random))
    subtractAssigned(residuals, dimensions, centroids, assign(residuals, dimensions, centroids))
    return centroids
  }
  tables.cells.set(quantise(CELLS))
  for (let level = 0; level < LEVELS; level++) tables.levels.set(quantise(BRANCHES), level * BRANCHES * dimensions)
  return { ...draft, products: productsOf(tables) }
}

/**
 * Divides each direction by the eighth root of its variance: a step towards whitening, which lets the weaker directions
 * speak. Half-way or full whitening gained no more.
 */
function flatten({ directions, variances }: PrincipalDirections): Float32Array {
  const width = directions.length / variances.length
  return directions.map((component, i) => {
    const variance = variances[Math.floor(i / width)] as number
    return component / Math.sqrt(Math.sqrt(Math.sqrt(variance)))
  })
}

function toFloat16(values: Float32Array): Float32Array {
  return Float32Array.from(values, Math.f16round)
}
