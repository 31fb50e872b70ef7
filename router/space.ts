/**
 * A space is all that peers must share for two fingerprints to mean the same; this loads and verifies one.
 *
 * A folder of three files or more, numbers little-endian:
 * - `manifest.json`  names, sizes, the SHA-256 of the others, and what the model must make of a few texts
 * - `codebook.bin`   float16: mean (inputDimensions), projection (dimensions × inputDimensions, row-major; absent when
 *                    the manifest says `"projection": false`), cells (256 × dimensions), levels (14 × 16 × dimensions)
 * - `counts.bin`     uint16 × 65,536: how many distinct reference texts have each 4-digit code prefix
 * - `embedder.bin`   only where the embedder is the built-in one: its table, which is checked here and not read
 * - `teacher.bin`    only there too: the map that brings its teacher's vectors into this space, checked and not read
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Products, productsOf, type Tables } from './products.ts'

export const CELLS = 256
export const LEVELS = 14
export const BRANCHES = 16
const COUNTED_PREFIXES = 0x10000

export interface Space {
  /** First 8 hex digits of the SHA-256 of the canonical manifest, which pins every file by hash. */
  readonly id: string
  readonly name: string
  /** Length of the embedder's vectors. */
  readonly inputDimensions: number
  /** Length of projected vectors. */
  readonly dimensions: number
  /** Subtracted before projecting; `inputDimensions` long. */
  readonly mean: Float32Array
  /** Row-major `dimensions` × `inputDimensions`; undefined when vectors are used as they come. */
  readonly projection: Float32Array | undefined
  /** Level 1: 256 × `dimensions`, row-major. */
  readonly cells: Float32Array
  /** Levels 2 to 15, sixteen residual centroids each: 14 × 16 × `dimensions`, row-major. */
  readonly levels: Float32Array
  readonly products: Products
  /** How many distinct reference texts share a code prefix of 2, 3 and 4 hex digits: 256, 4,096 and 65,536 counts. */
  readonly counts: readonly [Uint32Array, Uint32Array, Uint32Array]
  /**
   * Texts by which a model is known to be the one this space was made for: each with its projected vector, rounded to
   * 1/127. Where the embedder is part of the program, the model is the one that it was distilled from.
   */
  readonly golden: readonly { readonly text: string; readonly vector: Float32Array }[]
  /** The checked bytes of `embedder.bin`, for whoever makes the vectors; undefined where the space has none. */
  readonly embedderTable?: Uint8Array
  /** The same of `teacher.bin`. */
  readonly teacherMap?: Uint8Array
}

export type BinaryFile = 'codebook.bin' | 'counts.bin' | OpaqueFile
type OpaqueFile = 'embedder.bin' | 'teacher.bin'

interface Pin {
  sha256: string
  bytes: number
}

/** What `manifest.json` holds. Any change to it, even to an unknown key, makes another space. */
export interface SpaceManifest {
  name: string
  version: number
  /** Which vectors this space was made for; `dimensions` is their length. */
  embedder: { id: string; revision: string; dimensions: number; pooling: string }
  /** Length of projected vectors. */
  dimensions: number
  projection: boolean
  cells: typeof CELLS
  levels: typeof LEVELS
  branches: typeof BRANCHES
  /** Of `Space.golden`; a vector is base64 of int8. */
  golden?: { text: string; vector: string }[]
  files: { 'codebook.bin': Pin; 'counts.bin': Pin } & { [name in OpaqueFile]?: Pin }
}

export class SpaceInvalidError extends Error {
  override readonly name = 'SpaceInvalidError'
  readonly code = 'ERR_SPACE_INVALID'
}

/**
 * Reads a space and checks that its files are the ones its manifest pins.
 *
 * @throws {SpaceInvalidError} naming the file that is missing, damaged or of the wrong size
 */
export async function loadSpace(folder: string): Promise<Space> {
  const manifest = await readManifest(folder)
  const codebook = readFloats(await readPinned(folder, 'codebook.bin', manifest))
  const counts = readCounts(await readPinned(folder, 'counts.bin', manifest))
  const embedderTable = await readOpaque(folder, 'embedder.bin', manifest)
  const teacherMap = await readOpaque(folder, 'teacher.bin', manifest)

  const inputDimensions = manifest.embedder.dimensions
  const { name, dimensions } = manifest
  let offset = 0
  const take = (length: number): Float32Array => {
    offset += length
    return codebook.subarray(offset - length, offset)
  }
  const tables: Tables = {
    inputDimensions,
    dimensions,
    mean: take(inputDimensions),
    projection: manifest.projection ? take(dimensions * inputDimensions) : undefined,
    cells: take(CELLS * dimensions),
    levels: take(LEVELS * BRANCHES * dimensions),
  }
  const golden = (manifest.golden ?? []).map(({ text, vector }) => ({ text, vector: fromBase64(vector) }))
  return {
    id: spaceId(manifest),
    name,
    ...tables,
    products: productsOf(tables),
    counts,
    golden,
    ...(embedderTable && { embedderTable }),
    ...(teacherMap && { teacherMap }),
  }
}

/** @throws {SpaceInvalidError} when the folder has no manifest, or one that makes no sense */
export async function readManifest(folder: string): Promise<SpaceManifest> {
  const file = join(folder, 'manifest.json')
  const text = (await read(folder, 'manifest.json')).toString('utf8')
  let manifest: unknown
  try {
    manifest = JSON.parse(text)
  } catch (cause) {
    throw new SpaceInvalidError(`${file} is not JSON; ${REMEDY}`, { cause })
  }
  if (!isManifest(manifest)) throw new SpaceInvalidError(`${file} is not a space's manifest; ${REMEDY}`)
  return manifest
}

/** 8 hex digits that stand for the manifest, and through its hashes for every byte of the space. */
export function spaceId(manifest: SpaceManifest): string {
  return createHash('sha256').update(canonicalJson(manifest)).digest('hex').slice(0, 8)
}

const REMEDY = 'restore the folder from the package'

async function read(folder: string, name: string): Promise<Buffer> {
  try {
    return await readFile(join(folder, name))
  } catch (cause) {
    throw new SpaceInvalidError(`${join(folder, name)} cannot be read; ${REMEDY}`, { cause })
  }
}

async function readOpaque(folder: string, name: OpaqueFile, manifest: SpaceManifest): Promise<Buffer | undefined> {
  return manifest.files[name] && readPinned(folder, name, manifest)
}

async function readPinned(folder: string, name: BinaryFile, manifest: SpaceManifest): Promise<Buffer> {
  const bytes = await read(folder, name)
  const pinned = manifest.files[name]
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  if (bytes.length !== pinned?.bytes || sha256 !== pinned.sha256) {
    throw new SpaceInvalidError(`${join(folder, name)} does not match its hash in manifest.json; ${REMEDY}`)
  }
  if ((name === 'codebook.bin' || name === 'counts.bin') && bytes.length !== expectedBytes(name, manifest)) {
    throw new SpaceInvalidError(`${join(folder, name)} has not the size that manifest.json implies; ${REMEDY}`)
  }
  return bytes
}

function expectedBytes(name: 'codebook.bin' | 'counts.bin', manifest: SpaceManifest): number {
  if (name === 'counts.bin') return 2 * COUNTED_PREFIXES
  const { dimensions, projection, embedder } = manifest
  const rows = (projection ? embedder.dimensions : 0) + CELLS + LEVELS * BRANCHES
  return 2 * (embedder.dimensions + rows * dimensions)
}

function readFloats(bytes: Buffer): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => view.getFloat16(2 * i, true))
}

/** A text has one code, so the counts of a shorter prefix are sums of those of the longer ones. */
function readCounts(bytes: Buffer): Space['counts'] {
  const four = Uint32Array.from({ length: COUNTED_PREFIXES }, (_, i) => bytes.readUInt16LE(2 * i))
  const three = new Uint32Array(COUNTED_PREFIXES >> 4)
  const two = new Uint32Array(COUNTED_PREFIXES >> 8)
  four.forEach((count, prefix) => {
    three[prefix >> 4] = (three[prefix >> 4] as number) + count
    two[prefix >> 8] = (two[prefix >> 8] as number) + count
  })
  return [two, three, four]
}

function fromBase64(vector: string): Float32Array {
  return Float32Array.from(new Int8Array(Buffer.from(vector, 'base64')), component => component / 127)
}

function isManifest(value: unknown): value is SpaceManifest {
  if (!isObject(value) || !isObject(value.embedder) || !isObject(value.files)) return false
  const { embedder, files } = value
  return (
    typeof value.name === 'string' &&
    isSize(value.version) &&
    typeof embedder.id === 'string' &&
    typeof embedder.revision === 'string' &&
    typeof embedder.pooling === 'string' &&
    isSize(embedder.dimensions) &&
    isSize(value.dimensions) &&
    typeof value.projection === 'boolean' &&
    (value.projection || value.dimensions === embedder.dimensions) &&
    value.cells === CELLS &&
    value.levels === LEVELS &&
    value.branches === BRANCHES &&
    isGolden(value.golden, value.dimensions) &&
    isPin(files['codebook.bin']) &&
    isPin(files['counts.bin']) &&
    (files['embedder.bin'] === undefined || isPin(files['embedder.bin'])) &&
    (files['teacher.bin'] === undefined || isPin(files['teacher.bin']))
  )
}

function isGolden(value: unknown, dimensions: number): boolean {
  if (value === undefined) return true
  return (
    Array.isArray(value) &&
    value.every(
      item =>
        isObject(item) &&
        typeof item.text === 'string' &&
        typeof item.vector === 'string' &&
        Buffer.from(item.vector, 'base64').length === dimensions,
    )
  )
}

function isPin(value: unknown): boolean {
  return isObject(value) && typeof value.sha256 === 'string' && isSize(value.bytes)
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= 0x1000000
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** Keys sorted, no spaces. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value)
  const entries = Object.keys(value).sort()
  return `{${entries.map(key => `${JSON.stringify(key)}:${canonicalJson(value[key])}`).join(',')}}`
}
