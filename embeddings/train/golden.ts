/** Rewrites test/fixtures/fingerprint.json, for a change of the static embedder or its space that is meant. */
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dotTable, encode, project } from '../../router/fingerprint.ts'
import { loadSpace } from '../../router/space.ts'
import { embedText } from '../static.ts'
import { BUILT_IN_SPACE } from '../table.ts'

const ROOT = join(import.meta.dirname, '../..')
const file = join(ROOT, 'test/fixtures/fingerprint.json')

const space = await loadSpace(join(ROOT, 'embeddings/spaces', BUILT_IN_SPACE))
const { vectors } = JSON.parse(await readFile(file, 'utf8')) as { vectors: { text: string }[] }
const golden = {
  space: space.id,
  vectors: vectors.map(({ text }) => {
    const vector = embedText(text)
    const bytes = new DataView(new ArrayBuffer(4 * vector.length))
    vector.forEach((component, i) => {
      bytes.setFloat32(4 * i, component, true)
    })
    return {
      text,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      code: encode(space, dotTable(space, project(space, vector))),
    }
  }),
}
await writeFile(file, `${JSON.stringify(golden, null, 2)}\n`)
