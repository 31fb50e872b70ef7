/** `POST /qis/advise`: what is known of a text for these models, why, and what would change it. Nobody else is asked. */
import type { IncomingHttpHeaders } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { Embedder } from '../../embeddings/embedder.ts'
import { SELF } from '../../router/evidence.ts'
import { modelVariant } from '../../router/model-variant.ts'
import { DOMAIN_PATTERN } from '../../router/outcome.ts'
import type { Insight, Question, Router } from '../../router/router.ts'
import { grades } from '../../router/synthesis/estimator.ts'
import { type Weighed, weighNearby } from '../../router/synthesis/nearby.ts'
import type { Domains } from '../domain.ts'
import { HttpError } from '../errors.ts'
import { round } from '../steering.ts'
import { checkedBody } from './body.ts'
import { embedTexts, saysSomething } from './embedding.ts'

const MAX_MODELS = 16
const MAX_TEXT_CHARS = 1_000_000
const DEADLINE_MS = 2_000
/** So many outcomes are supposed at most to see whether the grade rises. */
const MAX_SUPPOSED = 64

const modelName = Type.String({ minLength: 1, maxLength: 256, description: 'must be the name of a model' })
export const adviceBody = Type.Object(
  {
    text: Type.String({ minLength: 1, maxLength: MAX_TEXT_CHARS, description: 'must be the text of a question' }),
    model: Type.Optional(modelName),
    models: Type.Optional(
      Type.Array(modelName, {
        minItems: 1,
        maxItems: MAX_MODELS,
        description: `must be a list of 1 to ${MAX_MODELS} models`,
      }),
    ),
    domain: Type.Optional(Type.String({ pattern: DOMAIN_PATTERN, description: 'must be a domain, like clinical' })),
  },
  { additionalProperties: false, description: 'must be an object of text, model or models, and domain' },
)
const bodyCheck = TypeCompiler.Compile(adviceBody)

export interface AdviceEndpoint {
  /** @throws {HttpError} */
  answer(body: unknown, request: { url: string; headers: IncomingHttpHeaders; left: AbortSignal }): Promise<object>
}

export function createAdviceEndpoint(
  components: {
    embedder: Embedder
    router: Pick<Router, 'lookup' | 'suppose' | 'around'>
    domains: Pick<Domains, 'of'>
    clock?: () => number
  },
  /** Those that are asked about when the caller names none. */
  usual: { readonly models: readonly string[] },
): AdviceEndpoint {
  const { embedder, router, domains, clock = Date.now } = components

  return {
    async answer(body, { url, headers, left }) {
      const {
        text,
        model,
        models = model === undefined ? usual.models : [model],
        domain: said,
      } = checkedBody(bodyCheck, body)
      if (models.length === 0) throw new HttpError('invalid_field', 'models must say which', { field: 'models' })
      const [vector] = await embedTexts(embedder, [text], { deadlineMs: DEADLINE_MS, left })
      if (!vector || !saysSomething(vector)) {
        throw new HttpError('invalid_field', 'text holds nothing that could be embedded', { field: 'text' })
      }
      const domain = domains.of({ said, url, headers }, vector)
      const { code, cells, neighbours, standing } = router.around(vector)
      const nearby = weighNearby(neighbours, { domain: domain.name, now: Math.floor(clock() / 1000), standing })
      const told: object[] = []
      for (const name of models) {
        const question: Question = { vector, domain: domain.name, model: modelVariant(name), asked: false }
        told.push(describeModel(name, question, router, nearby))
        // Each takes a few dozen estimates; proxied requests get their turn in between.
        await setImmediate()
      }
      return {
        object: 'qis.advice',
        domain: domain.name,
        domain_source: domain.source,
        fingerprint: code,
        cells: describeCells(cells, nearby),
        models: told,
      }
    },
  }
}

function describeModel(
  name: string,
  question: Question,
  router: Pick<Router, 'lookup' | 'suppose'>,
  nearby: readonly Weighed[],
): object {
  const insight = router.lookup(question)
  const { confidence, adjustment, deviation, grade, packets, peers, weight } = insight
  const after = (signal: number) => round(router.suppose(question, [signal]).confidence)
  return {
    model: name,
    variant: question.model,
    confidence: grade === 'none' ? null : round(confidence),
    expected: round(confidence),
    deviation: round(deviation),
    adjustment: round(adjustment),
    evidence: grade,
    packets,
    peers,
    weight: round(weight),
    why: {
      this_model: summarise(nearby.filter(({ evidence }) => evidence.model === question.model)),
      other_models: summarise(nearby.filter(({ evidence }) => evidence.model !== question.model)),
    },
    would_change: {
      next_grade: nextGrade(insight, signals => router.suppose(question, signals)),
      after_one_good: after(1),
      after_one_bad: after(0),
    },
  }
}

/**
 * How many more outcomes of this very question, as good as expected, raise the grade; null where it is the highest, or
 * where more than 64 are needed.
 */
function nextGrade(
  { confidence, grade }: Insight,
  suppose: (signals: readonly number[]) => Insight,
): { grade: string; outcomes: number } | null {
  const rank = grades.indexOf(grade)
  const with_ = (count: number) => suppose(Array<number>(count).fill(confidence)).grade
  let high = 1
  while (high <= MAX_SUPPOSED && grades.indexOf(with_(high)) <= rank) high *= 2
  if (high > MAX_SUPPOSED) return null
  let low = high >> 1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (grades.indexOf(with_(middle)) > rank) high = middle
    else low = middle
  }
  return { grade: with_(high), outcomes: high }
}

function describeCells(cells: readonly number[], nearby: readonly Weighed[]): object[] {
  return cells.map(cell => ({
    cell: cell.toString(16).padStart(2, '0'),
    ...summarise(nearby.filter(({ evidence }) => evidence.cell === cell)),
  }))
}

function summarise(some: readonly Weighed[]): object {
  const foreign = some.filter(({ evidence }) => evidence.author !== SELF)
  return {
    outcomes: some.length,
    packets: foreign.length,
    peers: new Set(foreign.map(({ evidence }) => evidence.author)).size,
    weight: round(some.reduce((sum, { weight }) => sum + weight, 0)),
  }
}
