/** Writes a space's folder in the format that `router/space.ts` reads. */
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BRANCHES, CELLS, LEVELS, type Space, type SpaceManifest } from '../../router/space.ts'

export async function writeSpace(folder: string, space: Space, embedder: SpaceManifest['embedder']): Promise<void> {
  const codebook = float16Bytes([space.mean, space.projection ?? new Float32Array(0), space.cells, space.levels])
  const counts = uint16Bytes(space.counts[2])
  const manifest: SpaceManifest = {
    name: space.name,
    version: 1,
    embedder,
    dimensions: space.dimensions,
    projection: space.projection !== undefined,
    cells: CELLS,
    levels: LEVELS,
    branches: BRANCHES,
    ...(space.golden.length > 0 && {
      golden: space.golden.map(({ text, vector }) => ({ text, vector: int8Base64(vector) })),
    }),
    files: {
      'codebook.bin': pin(codebook),
      'counts.bin': pin(counts),
      ...(space.embedderTable && { 'embedder.bin': pin(space.embedderTable) }),
      ...(space.teacherMap && { 'teacher.bin': pin(space.teacherMap) }),
    },
  }
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'codebook.bin'), codebook)
  await writeFile(join(folder, 'counts.bin'), counts)
  if (space.embedderTable) await writeFile(join(folder, 'embedder.bin'), space.embedderTable)
  if (space.teacherMap) await writeFile(join(folder, 'teacher.bin'), space.teacherMap)
  await writeFile(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

function pin(bytes: Uint8Array): { sha256: string; bytes: number } {
  return { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length }
}

function int8Base64(vector: Float32Array): string {
  return Buffer.from(Int8Array.from(vector, component => Math.round(127 * component)).buffer).toString('base64')
}

function float16Bytes(tables: readonly Float32Array[]): Uint8Array {
  const values = tables.flatMap(table => Array.from(table))
  const view = new DataView(new ArrayBuffer(2 * values.length))
  values.forEach((value, i) => {
    view.setFloat16(2 * i, value, true)
  })
  return new Uint8Array(view.buffer)
}

function uint16Bytes(values: Uint32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(2 * values.length))
  values.forEach((value, i) => {
    if (value > 0xffff) throw new RangeError(`count ${value} does not fit 16 bits`)
    view.setUint16(2 * i, value, true)
  })
  return new Uint8Array(view.buffer)
}
