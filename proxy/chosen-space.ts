/** Which embedder and which space the configuration asks for; for the sidecar and for the tools that look into spaces. */
import { existsSync, readdirSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { createCachedEmbedder } from '../embeddings/cached.ts'
import type { Embedder } from '../embeddings/embedder.ts'
import { createStaticEmbedder } from '../embeddings/static.ts'
import { createTransformersEmbedder } from '../embeddings/transformers.ts'
import type { Space } from '../router/space.ts'
import { type Config, ConfigInvalidError } from './config.ts'

const SPACES = join(import.meta.dirname, '../embeddings/spaces')
const BUILT_IN_SPACE = 'lexical-1'

/** What the configuration says of embedder and space. */
export type SpaceChoice = Pick<Config, 'space' | 'embedder' | 'embedderModel'>

/** The folders of all spaces that are shipped. */
export function shippedSpaces(): string[] {
  return readdirSync(SPACES, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(({ name }) => join(SPACES, name))
}

/** The name of the vectors that the chosen embedder makes. */
export function embedderSpace({ embedder, embedderModel }: SpaceChoice): string {
  return embedder === 'transformers' && embedderModel ? basename(embedderModel).toLowerCase() : BUILT_IN_SPACE
}

/** @throws {ConfigInvalidError} when there is no such space */
export function spaceFolder(choice: SpaceChoice): string {
  const name = choice.space ?? embedderSpace(choice)
  const folder = [join(SPACES, name), resolve(name)].find(existsSync)
  if (folder !== undefined) return folder
  const shipped = shippedSpaces().map(folder => basename(folder))
  throw new ConfigInvalidError(`there is no space ${name}; QIS_SPACE names a folder, or one of ${shipped.join(', ')}`)
}

export async function createEmbedder(
  { embedder, embedderModel }: SpaceChoice,
  space: Pick<Space, 'name'>,
): Promise<Embedder> {
  return createCachedEmbedder(
    embedder === 'transformers' && embedderModel !== undefined
      ? await createTransformersEmbedder({ model: embedderModel, space: space.name })
      : createStaticEmbedder(),
  )
}

/** @throws {ConfigInvalidError} when the space was made for other vectors */
export function checkFit(embedder: Embedder, space: Space): void {
  if (embedder.space !== space.name || embedder.dimensions !== space.inputDimensions) {
    throw new ConfigInvalidError(
      `QIS_SPACE must be the space that belongs to the embedder: ${space.name} is for vectors of ${space.inputDimensions} dimensions, the embedder makes ${embedder.space} vectors of ${embedder.dimensions}`,
    )
  }
}
