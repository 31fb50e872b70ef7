/**
 * The built-in embedder's table, `embedder.bin` in its space's folder: what it has learnt of words.
 *
 * Little-endian: "QSE1"; uint32 number of hashed words and pairs (k), of n-gram buckets (g), of dimensions (d, a multiple of four); uint32
 * hashes (k); uint16 scales (k + g + 1); int8 rows ((k + g + 1) × d), the last of which is where every sum begins.
 * A row stands for scale × its components; of the sum only the direction matters, so there is no unit.
 */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EmbedderError } from './embedder.ts'
import { createVocabulary, type Vocabulary } from './features.ts'

export const BUILT_IN_SPACE = 'sense-1'
const FOLDER = join(import.meta.dirname, 'spaces', BUILT_IN_SPACE)
export const MAGIC = 0x31455351
export const HEADER_BYTES = 16

export interface StaticTable {
  readonly vocabulary: Vocabulary
  readonly dimensions: number
  readonly scales: Uint16Array
  /** Row-major. */
  readonly rows: Int8Array
}

/**
 * Keeps the bytes, copies none of the rows.
 *
 * @throws {EmbedderError} unless the bytes are such a table, all of it
 */
export function parseTable(bytes: Uint8Array): StaticTable {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [magic, hashed, grams, dimensions] =
    bytes.length < HEADER_BYTES ? [0, 0, 0, 0] : ([0, 4, 8, 12] as const).map(at => view.getUint32(at, true))
  const count = (hashed as number) + (grams as number) + 1
  const scalesAt = HEADER_BYTES + 4 * (hashed as number)
  const rowsAt = scalesAt + 2 * count
  if (
    magic !== MAGIC ||
    !grams ||
    !dimensions ||
    dimensions % 4 !== 0 ||
    bytes.length !== rowsAt + count * dimensions
  ) {
    throw new EmbedderError('ERR_EMBEDDER_UNAVAILABLE', 'embedder.bin is not a table of the built-in embedder')
  }
  const hashes = Uint32Array.from({ length: hashed as number }, (_, i) => view.getUint32(HEADER_BYTES + 4 * i, true))
  return {
    vocabulary: createVocabulary(hashes, grams),
    dimensions,
    scales: Uint16Array.from({ length: count }, (_, i) => view.getUint16(scalesAt + 2 * i, true)),
    rows: new Int8Array(bytes.buffer, bytes.byteOffset + rowsAt, count * dimensions),
  }
}

let builtIn: StaticTable | undefined

/** The bytes of what the built-in embedder has learnt, from its space's folder. */
export async function readLearnt(folder = FOLDER): Promise<{ embedderTable: Uint8Array; teacherMap: Uint8Array }> {
  return {
    embedderTable: await readFile(join(folder, 'embedder.bin')),
    teacherMap: await readFile(join(folder, 'teacher.bin')),
  }
}

/** The table that is shipped, read when first asked for. Whoever must trust it has it checked by `loadSpace`. */
export function builtInTable(): StaticTable {
  builtIn ??= parseTable(readFileSync(join(FOLDER, 'embedder.bin')))
  return builtIn
}
