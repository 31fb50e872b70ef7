/** Chooses the embedder and the space its vectors live in: the two only ever make sense together. */
import { existsSync, readdirSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { createCachedEmbedder } from '../embeddings/cached.ts'
import { type Embedder, EmbedderError } from '../embeddings/embedder.ts'
import { createMappedEmbedder } from '../embeddings/mapped.ts'
import { createMiniLmEmbedder, MINILM } from '../embeddings/minilm.ts'
import { createStaticEmbedder } from '../embeddings/static.ts'
import { BUILT_IN_SPACE, parseTable } from '../embeddings/table.ts'
import { createTransformersEmbedder, type WorkerObserver } from '../embeddings/transformers.ts'
import { project } from '../router/fingerprint.ts'
import { loadSpace, type Space } from '../router/space.ts'
import type { Logger } from '../router/telemetry.ts'
import { type Config, ConfigInvalidError } from './config.ts'

export interface Embedding {
  embedder: Embedder
  space: Space
}

/** What the configuration says of embedder and space. */
export type EmbeddingConfig = Pick<Config, 'embedder' | 'embedderModel' | 'embedderFallback' | 'space' | 'dataDir'>

const SPACES = join(import.meta.dirname, '../embeddings/spaces')

/**
 * The embedder that is configured, loaded and warm, with its space. Where its model cannot be had, the built-in one when
 * that is what `QIS_EMBEDDER_FALLBACK` says: in the same space if that has a table for it, else in its own.
 *
 * @throws {EmbedderError} `ERR_EMBEDDER_UNAVAILABLE` when the model cannot be had and there is no fallback
 * @throws {ConfigInvalidError} when the embedder is not the one that the space was made for
 */
export async function createEmbedding(config: EmbeddingConfig, logger: Logger): Promise<Embedding> {
  const wanted = await loadSpace(spaceFolder(config))
  try {
    return await fitted(await createEmbedder(config, wanted, logger), wanted)
  } catch (error) {
    if (!(error instanceof EmbedderError)) throw error
    if (config.embedderFallback === 'none') {
      const where = wanted.embedderTable ? 'in the same space' : 'in a space of its own'
      const remedy = `QIS_EMBEDDER_FALLBACK=static would start with the built-in embedder instead, ${where}`
      throw new EmbedderError(error.code, `${error.message} (${remedy})`, { cause: error.cause })
    }
    const space = wanted.embedderTable ? wanted : await loadSpace(join(SPACES, BUILT_IN_SPACE))
    const loss =
      space === wanted
        ? 'which understands fewer other words, and shares what it learns as before'
        : `shares nothing with nodes of space ${wanted.name}, and will not find what it learnt in that space`
    logger.warn(
      { err: error, wanted: wanted.name, space: space.name },
      `THE MODEL OF QIS_EMBEDDER=${config.embedder} CANNOT BE HAD: this node runs with the built-in embedder, ${loss}`,
    )
    return fitted(createBuiltInEmbedder(space), space)
  }
}

/** The folders of all spaces that are shipped. */
export function shippedSpaces(): string[] {
  return readdirSync(SPACES, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(({ name }) => join(SPACES, name))
}

/**
 * The name of the vectors that the chosen embedder makes, and of the space that is shipped for them if there is one.
 * MiniLM's are brought into the built-in embedder's, so that nodes with and without a model share what they learn.
 */
export function embedderSpace({ embedder, embedderModel }: EmbeddingConfig): string {
  const preset = {
    static: BUILT_IN_SPACE,
    minilm: BUILT_IN_SPACE,
    transformers: basename(embedderModel ?? '').toLowerCase(),
  }
  return preset[embedder]
}

/** @throws {ConfigInvalidError} when there is no such space */
export function spaceFolder(config: EmbeddingConfig): string {
  const name = config.space ?? embedderSpace(config)
  const folder = [join(SPACES, name), resolve(name)].find(existsSync)
  if (folder !== undefined) return folder
  const shipped = shippedSpaces().map(folder => basename(folder))
  throw new ConfigInvalidError(`there is no space ${name}; QIS_SPACE names a folder, or one of ${shipped.join(', ')}`)
}

/**
 * The embedder alone, not yet held against any space.
 *
 * @throws {ConfigInvalidError} when MiniLM is asked for, and the model is another or the space has no map for it
 */
export async function createEmbedder(
  config: EmbeddingConfig,
  space: Pick<Space, 'name' | 'embedderTable' | 'teacherMap'>,
  logger: Logger,
): Promise<Embedder> {
  const { embedder, embedderModel: model, dataDir } = config
  const shared = { space: space.name, cacheFolder: join(dataDir, 'models'), observer: workerLog(logger) }
  if (embedder === 'minilm') {
    if (space.teacherMap === undefined) {
      throw new ConfigInvalidError(
        `QIS_SPACE must be a space that MiniLM has a way into: the manifest of ${space.name} names no teacher.bin`,
      )
    }
    const minilm = await createMiniLmEmbedder({ ...shared, model })
    try {
      if (minilm.dimensions !== MINILM.dimensions) {
        throw new ConfigInvalidError(
          `the model of QIS_EMBEDDER_MODEL is not all-MiniLM-L6-v2: its vectors have ${minilm.dimensions} dimensions, and not ${MINILM.dimensions}; name the right model, or use this one with QIS_EMBEDDER=transformers`,
        )
      }
      return createMappedEmbedder(minilm, space.teacherMap, space.name)
    } catch (error) {
      await minilm[Symbol.asyncDispose]()
      throw error
    }
  }
  if (embedder === 'transformers' && model !== undefined) return createTransformersEmbedder({ ...shared, model })
  return createBuiltInEmbedder(space)
}

/** From the bytes that `loadSpace` has checked, where it has; a space without them is another embedder's. */
function createBuiltInEmbedder({ name, embedderTable }: Pick<Space, 'name' | 'embedderTable'>): Embedder {
  return embedderTable === undefined
    ? createStaticEmbedder()
    : createStaticEmbedder({ table: parseTable(embedderTable), space: name })
}

function workerLog(logger: Logger): WorkerObserver {
  return {
    workerLost(error, retryMs) {
      const outlook = retryMs === undefined ? 'until this process is started again' : `for at least ${retryMs} ms`
      logger.warn({ err: error }, `the embedder is away: requests go through without advice ${outlook}`)
    },
    workerReplaced: () => logger.info('the embedder is back'),
  }
}

/** Other roundings of MiniLM to int8, and none, agree with ours to 0.985 and more; the same model pooled otherwise to 0.66. */
const MIN_LIKENESS = 0.95

async function fitted(embedder: Embedder, space: Space): Promise<Embedding> {
  try {
    if (embedder.space !== space.name || embedder.dimensions !== space.inputDimensions) {
      throw new ConfigInvalidError(
        `QIS_SPACE must be the space that belongs to the embedder: ${space.name} is for vectors of ${space.inputDimensions} dimensions, the embedder makes ${embedder.space} vectors of ${embedder.dimensions}`,
      )
    }
    if (embedder.inline && space.embedderTable === undefined) {
      throw new ConfigInvalidError(
        `QIS_SPACE must be a space of the built-in embedder: the manifest of ${space.name} names no embedder.bin; restore the folder from the package`,
      )
    }
    const likeness = await likenessToGolden(embedder, space)
    if (likeness < MIN_LIKENESS) {
      throw new ConfigInvalidError(
        `the model of QIS_EMBEDDER_MODEL is not the one that space ${space.name} was made for: its vectors of the space's reference texts agree to ${likeness.toFixed(2)}, and ${MIN_LIKENESS} is asked; name the right model, or train a space of your own for this one`,
      )
    }
    return { embedder: createCachedEmbedder(embedder), space }
  } catch (error) {
    await embedder[Symbol.asyncDispose]()
    throw error
  }
}

/**
 * Mean cosine between what the model makes of the space's golden texts and what it must; 1 without such texts, or when
 * the embedder is part of the program and has no model that could be another.
 */
async function likenessToGolden(embedder: Embedder, space: Space): Promise<number> {
  if (embedder.inline || space.golden.length === 0) return 1
  const vectors = await embedder.embed(space.golden.map(({ text }) => text))
  const likenesses = space.golden.map(({ vector }, i) => {
    const projected = project(space, vectors[i] as Float32Array)
    return projected.reduce((sum, component, at) => sum + component * (vector[at] as number), 0)
  })
  return likenesses.reduce((sum, likeness) => sum + likeness, 0) / likenesses.length
}
