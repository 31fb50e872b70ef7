/** One spelling for one model, so that deployments that serve it under different names learn from each other. */
import { createHash } from 'node:crypto'

/** What the packet has room for. */
const MAX_BYTES = 24
const KEPT_BYTES = 19
/** No model has a longer name; what a client sends may be, and cleaning costs the square of the length. */
const MAX_NAME_LENGTH = 256

/** Model variants as they may stand in a packet. */
export const MODEL_PATTERN = '^[a-z0-9._:+~-]{1,24}$'

/** What a model is called whose name nobody told. */
export const UNKNOWN_MODEL = 'unknown'

const QUANTISATION =
  /[-_.:](?:i?q\d(?:_[a-z0-9]+)*|awq|gptq|marlin|exl2|gguf|ggml|mlx|bnb|fp(?:4|8|16|32)|nvfp4|mxfp4|bf16|f16|int[48]|[48]bit|w\d+a\d+|dynamic|quantized|latest)$/

/**
 * `meta-llama/Llama-3.1-8B-Instruct-AWQ` → `llama-3.1-8b-instruct`: base name, lower case, quantisation suffixes off.
 * Above 24 bytes: the first 19, `~`, and 4 hex digits of the SHA-256 of the whole. A variant's variant is itself.
 *
 * @param aliases from a cleaned name to the name meant, for sites that rename their models
 */
export function modelVariant(name: string, aliases: ReadonlyMap<string, string> = new Map()): string {
  const cleaned = clean(name)
  const alias = aliases.get(cleaned)
  const variant = alias === undefined ? cleaned : clean(alias)
  if (variant === '') return UNKNOWN_MODEL
  if (variant.length <= MAX_BYTES) return variant
  const digest = createHash('sha256').update(variant).digest('hex')
  return `${variant.slice(0, KEPT_BYTES)}~${digest.slice(0, MAX_BYTES - KEPT_BYTES - 1)}`
}

function clean(name: string): string {
  const composed = name.slice(-MAX_NAME_LENGTH).normalize('NFC')
  let variant = composed
    .slice(composed.lastIndexOf('/') + 1)
    .toLowerCase()
    .replace(/[^a-z0-9._:+~-]/g, '-')
  for (
    let shorter = variant.replace(QUANTISATION, '');
    shorter !== variant;
    shorter = variant.replace(QUANTISATION, '')
  ) {
    variant = shorter
  }
  return variant
}

/** `llama-3.1-8b-instruct` → `llama`: the leading letters, which is what makers keep across sizes and versions. */
export function modelFamily(variant: string): string {
  return /^[a-z]+/.exec(variant)?.[0] ?? variant
}
