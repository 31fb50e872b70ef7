import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { writeSpace } from '../../embeddings/train/write-space.ts'
import { loadSpace, type SpaceManifest } from '../../router/space.ts'
import { SPACES } from '../embeddings/shared-data.ts'

const NAMES = ['sense-1', 'potion-base-2m']

describe('a space', () => {
  for (const name of NAMES) {
    it(`${name} loads, with tables of the sizes it states`, async () => {
      const space = await loadSpace(join(SPACES, name))
      assert.equal(space.name, name)
      assert.match(space.id, /^[0-9a-f]{8}$/)
      assert.equal(space.mean.length, space.inputDimensions)
      assert.equal(space.projection, undefined)
      for (const learnt of [space.embedderTable, space.teacherMap])
        assert.equal(learnt !== undefined, name === 'sense-1')
      assert.equal(space.cells.length, 256 * space.dimensions)
      assert.equal(space.levels.length, 14 * 16 * space.dimensions)
      assert.deepEqual(
        space.counts.map(table => table.length),
        [256, 4_096, 65_536],
      )
      const totals = space.counts.map(table => table.reduce((sum, count) => sum + count, 0))
      assert.ok(
        totals.every(total => total === totals[0] && total > 100_000),
        String(totals),
      )
    })
  }

  it('has an id of its own', async () => {
    const ids = await Promise.all(NAMES.map(async name => (await loadSpace(join(SPACES, name))).id))
    assert.equal(new Set(ids).size, NAMES.length)
  })

  it('states what the model makes of a few texts, in vectors of length 1', async () => {
    const { golden, dimensions } = await loadSpace(join(SPACES, 'sense-1'))
    assert.ok(golden.length >= 8)
    for (const { vector } of golden) {
      assert.equal(vector.length, dimensions)
      assert.ok(Math.abs(Math.hypot(...vector) - 1) < 0.05)
    }
  })

  it('with a projection has it, and its other tables where they were', async () => {
    await using copy = await copySpace()
    const space = await loadSpace(copy.folder)
    const [mean, projection] = [new Float32Array(100).fill(0.5), new Float32Array(100 * space.dimensions).fill(0.25)]
    const embedder = { ...(await copy.manifest()).embedder, dimensions: 100 }
    await writeSpace(copy.folder, { ...space, inputDimensions: 100, mean, projection }, embedder)
    const projecting = await loadSpace(copy.folder)
    assert.deepEqual([projecting.inputDimensions, projecting.mean, projecting.projection], [100, mean, projection])
    assert.deepEqual([projecting.cells, projecting.levels], [space.cells, space.levels])
  })

  it('has the same id however its manifest is laid out, and another for any other content', async () => {
    await using copy = await copySpace()
    const before = (await loadSpace(copy.folder)).id
    const manifest = await copy.manifest()
    const reversed = Object.fromEntries(Object.entries(manifest).reverse())
    await copy.write('manifest.json', JSON.stringify(reversed))
    assert.equal((await loadSpace(copy.folder)).id, before)
    await copy.write(
      'manifest.json',
      JSON.stringify({ ...manifest, embedder: { ...manifest.embedder, revision: '2' } }),
    )
    assert.notEqual((await loadSpace(copy.folder)).id, before)
  })

  for (const file of ['codebook.bin', 'counts.bin', 'embedder.bin', 'teacher.bin'] as const) {
    it(`with one changed bit in ${file} is refused, and the message names the file`, async () => {
      await using copy = await copySpace()
      const bytes = await readFile(join(copy.folder, file))
      bytes[1_000] = (bytes[1_000] as number) ^ 1
      await copy.write(file, bytes)
      await assert.rejects(loadSpace(copy.folder), {
        code: 'ERR_SPACE_INVALID',
        message: `${join(copy.folder, file)} does not match its hash in manifest.json; restore the folder from the package`,
      })
    })

    it(`without ${file} is refused, and the message names the file`, async () => {
      await using copy = await copySpace()
      await rm(join(copy.folder, file))
      await assert.rejects(loadSpace(copy.folder), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_SPACE_INVALID')
        assert.ok(error.message.startsWith(`${join(copy.folder, file)} cannot be read`), error.message)
        assert.equal((error.cause as NodeJS.ErrnoException).code, 'ENOENT')
        return true
      })
    })
  }

  it('whose file has its hash but not its size is refused', async () => {
    await using copy = await copySpace()
    const bytes = Buffer.alloc(10)
    const manifest = await copy.manifest()
    manifest.files['counts.bin'] = { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length }
    await copy.write('counts.bin', bytes)
    await copy.write('manifest.json', JSON.stringify(manifest))
    await assert.rejects(loadSpace(copy.folder), { code: 'ERR_SPACE_INVALID', message: /counts\.bin has not the size/ })
  })

  it('with a manifest that is no JSON, or not one of a space, is refused', async () => {
    await using copy = await copySpace()
    const manifest = await copy.manifest()
    const bad = ['{', 'null', '[]', '{}', JSON.stringify({ ...manifest, cells: 128 })]
    bad.push(JSON.stringify({ ...manifest, dimensions: 1e9 }), JSON.stringify({ ...manifest, dimensions: 64 }))
    bad.push(JSON.stringify({ ...manifest, golden: [{ text: 'hello', vector: 'AAAA' }] }))
    for (const text of bad) {
      await copy.write('manifest.json', text)
      await assert.rejects(
        loadSpace(copy.folder),
        { code: 'ERR_SPACE_INVALID', message: /manifest\.json is not/ },
        text,
      )
    }
  })
})

async function copySpace() {
  const folder = await mkdtemp(join(tmpdir(), 'qis-space-'))
  await cp(join(SPACES, 'sense-1'), folder, { recursive: true })
  return {
    folder,
    manifest: async () => JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as SpaceManifest,
    write: (name: string, content: string | Uint8Array) => writeFile(join(folder, name), content),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}
