/** Whether the embedder and its space can be had, by loading them as a start does. */
import type { Config } from '../../proxy/config.ts'
import { createEmbedding } from '../../proxy/embedding.ts'
import { about, type Finding } from './finding.ts'

const embedder = about('embedder')

export async function checkEmbedder(config: Config): Promise<Finding[]> {
  const warnings: string[] = []
  const note = (details: object | string, message?: string) => void warnings.push(message ?? String(details))
  try {
    const { embedder: made, space } = await createEmbedding(config, { debug() {}, info() {}, warn: note })
    await made[Symbol.asyncDispose]()
    if (warnings.length > 0) return warnings.map(found => embedder.warning(found, 'see QIS_EMBEDDER_MODEL'))
    return [embedder.ok(`${config.embedder}, in space ${space.name} (${space.id})`)]
  } catch (error) {
    return [embedder.failed(error)]
  }
}
