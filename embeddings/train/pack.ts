/** Rounds what distil.py learnt to the bytes that ship: `node embeddings/train/pack.ts <its folder> <the space's folder>`. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HEADER_BYTES, MAGIC } from '../table.ts'

const [folder = '', space = ''] = process.argv.slice(2)
const { grams, dimensions } = JSON.parse(await readFile(join(folder, 'table.json'), 'utf8')) as {
  grams: number
  dimensions: number
}
const hashes = await readNumbers(join(folder, 'hashes.u32'), (view, at) => view.getUint32(at, true))
const values = await readNumbers(join(folder, 'table.f32'), (view, at) => view.getFloat32(at, true))
const count = hashes.length + grams + 1
if (values.length !== count * dimensions) throw new Error('table.f32 has not the size that table.json implies')

/** A row's largest component becomes ±127 of its scale; the largest scale of all is 65,535. */
const largest = Array.from({ length: count }, (_, row) =>
  values.slice(row * dimensions, (row + 1) * dimensions).reduce((max, value) => Math.max(max, Math.abs(value)), 0),
)
const unit = largest.reduce((max, value) => Math.max(max, value), 0) / 127 / 0xffff
const view = new DataView(new ArrayBuffer(HEADER_BYTES + 4 * hashes.length + (2 + dimensions) * count))
;[MAGIC, hashes.length, grams, dimensions].forEach((value, i) => {
  view.setUint32(4 * i, value, true)
})
hashes.forEach((hash, i) => {
  view.setUint32(HEADER_BYTES + 4 * i, hash, true)
})
const scalesAt = HEADER_BYTES + 4 * hashes.length
const rowsAt = scalesAt + 2 * count
for (let row = 0; row < count; row++) {
  const scale = Math.max(1, Math.ceil((largest[row] as number) / 127 / unit))
  view.setUint16(scalesAt + 2 * row, Math.min(scale, 0xffff), true)
  for (let i = row * dimensions; i < (row + 1) * dimensions; i++) {
    const level = Math.round((values[i] as number) / unit / scale)
    view.setInt8(rowsAt + i, Math.max(-127, Math.min(127, level)))
  }
}
await mkdir(space, { recursive: true })
await writeFile(join(space, 'embedder.bin'), new Uint8Array(view.buffer))

const mean = await readNumbers(join(folder, 'mean.f32'), (bytes, at) => bytes.getFloat32(at, true))
const map = await readNumbers(join(folder, 'map.f32'), (bytes, at) => bytes.getFloat32(at, true))
const teacher = new DataView(new ArrayBuffer(8 + 2 * (mean.length + map.length)))
teacher.setUint32(0, mean.length, true)
teacher.setUint32(4, dimensions, true)
;[...mean, ...map].forEach((value, i) => {
  teacher.setFloat16(8 + 2 * i, value, true)
})
await writeFile(join(space, 'teacher.bin'), new Uint8Array(teacher.buffer))

async function readNumbers(name: string, get: (view: DataView, at: number) => number): Promise<number[]> {
  const bytes = await readFile(name)
  const numbers = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length: bytes.length / 4 }, (_, i) => get(numbers, 4 * i))
}
