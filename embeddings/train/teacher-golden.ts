/**
 * Writes into the built-in space what its teacher makes of a few texts, and nothing else anew:
 * `node embeddings/train/teacher-golden.ts <folder of all-MiniLM-L6-v2> [<the space's folder>]`.
 */
import { join } from 'node:path'
import { loadSpace, readManifest } from '../../router/space.ts'
import { createMappedEmbedder } from '../mapped.ts'
import { createMiniLmEmbedder } from '../minilm.ts'
import { BUILT_IN_SPACE } from '../table.ts'
import { goldenVectors } from './golden-texts.ts'
import { writeSpace } from './write-space.ts'

const [model, folder = join(import.meta.dirname, '../spaces', BUILT_IN_SPACE)] = process.argv.slice(2)
const space = await loadSpace(folder)
if (model === undefined || space.teacherMap === undefined) {
  throw new Error('name the folder of all-MiniLM-L6-v2, and a space with a teacher.bin')
}
await using embedder = createMappedEmbedder(await createMiniLmEmbedder({ model }), space.teacherMap, space.name)
const golden = await goldenVectors(embedder, space)
await writeSpace(folder, { ...space, golden }, (await readManifest(folder)).embedder)
console.log(`${space.name} is now ${(await loadSpace(folder)).id}`)
