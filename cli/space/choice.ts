/** Which embedder and space a `qis space` command is about: those of the sidecar's settings, unless options say otherwise. */

import { readConfig } from '../../proxy/config.ts'
import type { EmbeddingConfig } from '../../proxy/embedding.ts'

export const CHOICE_OPTIONS = {
  embedder: { type: 'string' },
  model: { type: 'string' },
  space: { type: 'string' },
} as const

/** @throws {ConfigInvalidError} */
export function readChoice(
  env: NodeJS.ProcessEnv,
  { embedder, model, space }: { embedder?: string | undefined; model?: string | undefined; space?: string | undefined },
): EmbeddingConfig {
  return readConfig(env, { embedder, embedder_model: model, space })
}
