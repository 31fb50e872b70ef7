/**
 * Brings the vectors of a sentence embedder into the built-in space, which was distilled from it: a node that runs the
 * model and one that does not then understand each other's codes.
 *
 * The map is `teacher.bin` of the space, little-endian: uint32 components of the embedder's vectors (n) and of the
 * meaning (d); float16 mean (n), map (d × n, row-major).
 */
import { type Embedder, EmbedderError } from './embedder.ts'
import { addShape, SHAPE_DIMENSIONS } from './shape.ts'
import { readWords } from './words.ts'

const HEADER_BYTES = 8

interface TeacherMap {
  inputs: number
  dimensions: number
  mean: Float32Array
  rows: Float32Array
}

/**
 * Owns `embedder`: disposing of this one disposes of it.
 *
 * @param teacherMap the bytes of `teacher.bin`
 * @param space the space that they came with
 * @throws {EmbedderError} unless the bytes are a map for vectors of this embedder's length
 */
export function createMappedEmbedder(embedder: Embedder, teacherMap: Uint8Array, space: string): Embedder {
  const map = parseMap(teacherMap, embedder.dimensions)
  return {
    space,
    dimensions: map.dimensions + SHAPE_DIMENSIONS,
    inline: embedder.inline,
    async embed(texts, options) {
      const vectors = await embedder.embed(texts, options)
      return vectors.map((vector, i) => bring(vector, texts[i] ?? '', map))
    },
    [Symbol.asyncDispose]: () => embedder[Symbol.asyncDispose](),
  }
}

function bring(vector: Float32Array, text: string, { inputs, dimensions, mean, rows }: TeacherMap): Float32Array {
  const sums = new Float64Array(dimensions + SHAPE_DIMENSIONS)
  if (vector.every(component => component === 0)) return Float32Array.from(sums)
  for (let row = 0; row < dimensions; row++) {
    let sum = 0
    for (let i = 0; i < inputs; i++) {
      sum += (rows[row * inputs + i] as number) * ((vector[i] as number) - (mean[i] as number))
    }
    sums[row] = sum
  }
  return addShape(readWords(text), sums, dimensions)
}

function parseMap(bytes: Uint8Array, wanted: number): TeacherMap {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [inputs, dimensions] = bytes.length < HEADER_BYTES ? [0, 0] : [view.getUint32(0, true), view.getUint32(4, true)]
  if (inputs !== wanted || dimensions === 0 || bytes.length !== HEADER_BYTES + 2 * inputs * (1 + dimensions)) {
    throw new EmbedderError(
      'ERR_EMBEDDER_UNAVAILABLE',
      `teacher.bin is not a map for the vectors of ${wanted} components that this embedder makes`,
    )
  }
  const values = Float32Array.from({ length: inputs * (1 + dimensions) }, (_, i) =>
    view.getFloat16(HEADER_BYTES + 2 * i, true),
  )
  return { inputs, dimensions, mean: values.subarray(0, inputs), rows: values.subarray(inputs) }
}
