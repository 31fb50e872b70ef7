/** From a request's bytes to what is known about its question; fails open, whatever breaks. */
import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Embedder, EmbedderError } from '../embeddings/embedder.ts'
import { modelVariant } from '../router/model-variant.ts'
import type { Insight, Router } from '../router/router.ts'
import type { Logger } from '../router/telemetry.ts'
import type { AnswerRecord } from './answer-index.ts'
import type { Domains, FoundDomain } from './domain.ts'
import { HttpError } from './errors.ts'
import { type Hints, readHints } from './insight-headers.ts'
import { readQuery } from './query-text.ts'
import type { Refining } from './refine/refining.ts'
import type { Routing } from './routing/routing.ts'
import type { Steered } from './steering.ts'

export type AdviceResult = 'advised' | 'no_evidence' | 'no_text' | 'opted_out' | 'too_large' | 'deadline' | 'failed'

export interface Advice {
  requestId: string
  hints: Hints
  result: AdviceResult
  insight: Insight | undefined
  /** Undefined when there was no question to look up. */
  domain: FoundDomain | undefined
  /** What feedback will need; undefined when the question has no fingerprint. */
  record: AnswerRecord | undefined
  /** What is to be changed of the request; undefined as a rule. */
  steered: Steered | undefined
}

export interface AdviserComponents {
  embedder: Embedder
  router: Pick<Router, 'lookup'>
  domains: Pick<Domains, 'of'>
  logger: Logger
  /** Where the operator has named models to choose among; read at each question, as the next. */
  readonly routing?: Routing | undefined
  /** Where the operator lets prompts be refined. */
  readonly refining?: Refining | undefined
  /** Told how long each vector took. */
  onEmbedded?: (seconds: number) => void
  clock?: () => number
}

/** Whether a client has left; the signal is made only where something waits for it. */
export interface Departure {
  readonly left: boolean
  readonly signal: AbortSignal
  /** Who it is, as `callers.ts` spells it. */
  readonly caller?: string | undefined
}

export interface Adviser {
  /** Whether advice is there before anything else can happen. */
  readonly inline: boolean
  /** Whether requests may be changed by what is advised. */
  readonly steers: boolean
  /**
   * @param body undefined when it was too large to be read
   * @throws {HttpError} for a client that asks for a choice that cannot be made; nothing else is ever thrown
   */
  advise(url: string, headers: IncomingHttpHeaders, body: Buffer | undefined, client: Departure): Promise<Advice>
}

export function createAdviser(components: AdviserComponents, options: { readonly adviceDeadlineMs: number }): Adviser {
  const { embedder, router, domains, logger, onEmbedded, clock = Date.now } = components

  async function embed(text: string, client: Departure): Promise<Float32Array | undefined> {
    if (embedder.inline) return (await embedder.embed([text]))[0]
    const signal = AbortSignal.any([client.signal, AbortSignal.timeout(options.adviceDeadlineMs)])
    return (await embedder.embed([text], { signal }))[0]
  }

  async function look(
    url: string,
    headers: IncomingHttpHeaders,
    body: Buffer | undefined,
    client: Departure,
  ): Promise<Advice> {
    const { routing, refining } = components
    const hints = readHints(headers)
    const advice: Advice = {
      requestId: `qis-${randomUUID()}`,
      hints,
      result: 'no_text',
      insight: undefined,
      domain: undefined,
      record: undefined,
      steered: undefined,
    }
    if (hints.optOut) return { ...advice, result: 'opted_out' }
    if (!body) return { ...advice, result: 'too_large' }
    try {
      const query = readQuery(url, body)
      if (!query || query.text === '') return advice
      const startedAt = performance.now()
      const vector = await embed(query.text, client)
      onEmbedded?.((performance.now() - startedAt) / 1000)
      if (!vector?.some(component => component !== 0)) return advice
      const found = domains.of({ said: hints.domain, url, headers }, vector)
      const domain = found.name
      const { selfConfidence: known, strategy } = hints
      const prior = known === undefined ? {} : { prior: known }
      const route = routing?.choose({
        asked: query.model,
        domain,
        body,
        caller: () => client.caller,
        only: hints.routeOnly,
        lookup: variant => router.lookup({ vector, domain, model: variant, strategy, ...prior, asked: false }),
      })
      const model = route?.chosen.variant ?? modelVariant(query.model)
      const insight = router.lookup({ vector, domain, model, strategy, ...prior })
      const refinement = route?.only ? undefined : refining?.consider({ url, body, domain, vector })
      return {
        ...advice,
        result: insight.grade === 'none' ? 'no_evidence' : 'advised',
        insight,
        domain: found,
        steered: (route ?? refinement) && { route, refinement },
        record: {
          requestId: advice.requestId,
          code: insight.code,
          domain,
          model,
          intervention: refinement?.treated ? 2 : route ? 1 : 0,
          time: Math.floor(clock() / 1000),
          ...(strategy !== undefined && { strategy }),
          ...(known !== undefined && { confidence: known }),
          ...expectationOf(insight),
          ...(refinement && { trial: { type: refinement.type, treated: refinement.treated } }),
        },
      }
    } catch (error) {
      if (error instanceof HttpError) throw error
      const late = error instanceof DOMException && error.name === 'TimeoutError'
      // That the embedder is away is logged once, where it is known when it will be back.
      const away = error instanceof EmbedderError && error.code === 'ERR_EMBEDDER_UNAVAILABLE'
      if (!late && !away && !client.left) logger.warn({ err: error }, 'a request went through without advice')
      return { ...advice, result: late ? 'deadline' : 'failed' }
    }
  }

  return {
    inline: embedder.inline,
    get steers() {
      return components.routing !== undefined || components.refining !== undefined
    },
    async advise(url, headers, body, client) {
      const advice = await look(url, headers, body, client)
      const { routing } = components
      if (!routing || !body || advice.record) return advice
      const { domain, routeOnly } = advice.hints
      const route = routing.fallback(body, domain, routeOnly)
      return route ? { ...advice, steered: { route, refinement: undefined } } : advice
    },
  }
}

/** For the record: what the answer will be held against. */
export function expectationOf(insight: Insight | undefined): Pick<AnswerRecord, 'expected'> {
  if (!insight || insight.grade === 'none') return {}
  return { expected: Math.round(insight.posterior * 1000) / 1000 }
}
