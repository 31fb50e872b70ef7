/** `POST /qis/rerank`: documents by their likeness to a query, and by how well their sources have served such queries. */
import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { Embedder } from '../../embeddings/embedder.ts'
import { DOMAIN_PATTERN, STRATEGY_PATTERN } from '../../router/outcome.ts'
import type { Router } from '../../router/router.ts'
import { weighNearby } from '../../router/synthesis/nearby.ts'
import { type SourceEffect, sourceEffects } from '../../router/synthesis/sources.ts'
import type { Domains } from '../domain.ts'
import { HttpError } from '../errors.ts'
import { round } from '../steering.ts'
import { checkedBody } from './body.ts'
import { embedTexts, saysSomething } from './embedding.ts'

const MAX_DOCUMENTS = 1_000
const MAX_TEXT_CHARS = 1_000_000
/** Further ones are told to come again. */
const MAX_AT_ONCE = 4
/** What an effect of 1 would add to a cosine; effects are 0.5 at most. */
const EFFECT_WEIGHT = 0.5

const Text = Type.String({ maxLength: MAX_TEXT_CHARS, description: 'must be a text' })
const Document = Type.Object(
  {
    text: Text,
    source: Type.Optional(
      Type.String({
        pattern: STRATEGY_PATTERN,
        description: 'must be a label of at most 16 characters of a-z, 0-9, dot, dash and underscore',
      }),
    ),
  },
  { description: 'must be a text, or an object with text and perhaps source' },
)
/** Other members are passed over: clients of other services send a few that mean nothing here. */
export const rerankBody = Type.Object(
  {
    query: Type.String({ minLength: 1, maxLength: MAX_TEXT_CHARS, description: 'must be a text' }),
    documents: Type.Array(Type.Unknown(), {
      minItems: 1,
      maxItems: MAX_DOCUMENTS,
      description: `must be a list of 1 to ${MAX_DOCUMENTS} documents`,
    }),
    top_n: Type.Optional(Type.Integer({ minimum: 1, description: 'must be a whole number from 1' })),
    return_documents: Type.Optional(Type.Boolean({ description: 'must be true or false' })),
    domain: Type.Optional(Type.String({ pattern: DOMAIN_PATTERN, description: 'must be a domain, like clinical' })),
  },
  { description: 'must be an object of query and documents' },
)
const bodyCheck = TypeCompiler.Compile(rerankBody)
const documentCheck = TypeCompiler.Compile(Document)

interface ReadDocument {
  text: string
  source: string | undefined
}

export interface RerankEndpoint {
  /** @throws {HttpError} */
  answer(body: unknown, request: { url: string; headers: IncomingHttpHeaders; left: AbortSignal }): Promise<object>
}

export function createRerankEndpoint(
  components: {
    embedder: Embedder
    /** Of the embedder's vectors: what all texts have in common says nothing about any. */
    mean: Float32Array
    router: Pick<Router, 'around'>
    domains: Pick<Domains, 'of'>
    onReranked?(documents: number): void
    clock?: () => number
  },
  options: { readonly rerankDeadlineMs: number },
): RerankEndpoint {
  const { embedder, mean, router, domains, onReranked, clock = Date.now } = components
  let running = 0

  async function embed(texts: readonly string[], left: AbortSignal): Promise<Float32Array[]> {
    if (running >= MAX_AT_ONCE) {
      throw new HttpError('embedder_unavailable', 'too many lists of documents are being embedded; try again')
    }
    running++
    try {
      return await embedTexts(embedder, texts, { deadlineMs: options.rerankDeadlineMs, left })
    } finally {
      running--
    }
  }

  return {
    async answer(body, { url, headers, left }) {
      const { query, documents, top_n, return_documents = false, domain: said } = checkedBody(bodyCheck, body)
      const read = documents.map(readDocument)
      const [asked, ...vectors] = await embed([query, ...read.map(({ text }) => text)], left)
      if (!asked || !saysSomething(asked)) {
        throw new HttpError('invalid_field', 'query holds nothing that could be embedded', { field: 'query' })
      }
      const domain = domains.of({ said, url, headers }, asked)
      const { neighbours, standing } = router.around(asked)
      const nearby = weighNearby(neighbours, {
        domain: domain.name,
        now: Math.floor(clock() / 1000),
        standing,
      })
      const labels = new Set(read.flatMap(({ source }) => source ?? []))
      const effects = sourceEffects(nearby, labels)
      const scores = vectors.map((vector, at) => {
        const effect = effects.get(read[at]?.source ?? '')?.effect ?? 0
        return saysSomething(vector) ? relevance(cosineFrom(mean, asked, vector), effect) : 0
      })
      const order = scores.map((_, at) => at).sort((a, b) => (scores[b] as number) - (scores[a] as number))
      onReranked?.(documents.length)
      return {
        id: `rerank-${randomUUID()}`,
        model: `qis-rerank/${embedder.space}`,
        results: order.slice(0, top_n).map(index => ({
          index,
          relevance_score: scores[index],
          ...(return_documents && { document: shown(documents[index]) }),
        })),
        qis: {
          domain: domain.name,
          sources: Object.fromEntries([...effects].map(([label, e]) => [label, rounded(e)])),
        },
      }
    },
  }
}

function readDocument(document: unknown, at: number): ReadDocument {
  const field = `documents[${at}]`
  if (typeof document === 'string' && document.length <= MAX_TEXT_CHARS) return { text: document, source: undefined }
  if (documentCheck.Check(document)) return { text: document.text, source: document.source }
  const fault = documentCheck.Errors(document).First()
  const path = fault && fault.path !== '' ? `${field}.${fault.path.slice(1)}` : field
  throw new HttpError('invalid_field', `${path} ${fault?.schema.description ?? 'is too long'}`, { field: path })
}

/** As other services show it: always an object. */
function shown(document: unknown): unknown {
  return typeof document === 'string' ? { text: document } : document
}

/** 0..1; without an effect in the order of the cosines alone. */
function relevance(cosine: number, effect: number): number {
  return Math.min(1, Math.max(0, (1 + cosine + EFFECT_WEIGHT * effect) / 2))
}

function cosineFrom(mean: Float32Array, a: Float32Array, b: Float32Array): number {
  let [dot, squareA, squareB] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    const x = (a[i] as number) - (mean[i] ?? 0)
    const y = (b[i] as number) - (mean[i] ?? 0)
    dot += x * y
    squareA += x * x
    squareB += y * y
  }
  return squareA === 0 || squareB === 0 ? 0 : dot / Math.sqrt(squareA * squareB)
}

function rounded({ effect, weight, outcomes }: SourceEffect): SourceEffect {
  return { effect: round(effect), weight: round(weight), outcomes }
}
