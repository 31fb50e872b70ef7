/** From a request's bytes to what is known about its question; fails open, whatever breaks. */
import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Embedder, EmbedderError } from '../embeddings/embedder.ts'
import { modelVariant } from '../router/model-variant.ts'
import type { Insight, Router } from '../router/router.ts'
import type { Logger } from '../router/telemetry.ts'
import type { AnswerRecord } from './answer-index.ts'
import type { Domains, FoundDomain } from './domain.ts'
import { type Hints, readHints } from './insight-headers.ts'
import { readQuery } from './query-text.ts'

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
}

export interface AdviserComponents {
  embedder: Embedder
  router: Pick<Router, 'lookup'>
  domains: Pick<Domains, 'of'>
  logger: Logger
  clock?: () => number
}

/** Whether a client has left; the signal is made only where something waits for it. */
export interface Departure {
  readonly left: boolean
  readonly signal: AbortSignal
}

export interface Adviser {
  /** @param body undefined when it was too large to be read */
  advise(url: string, headers: IncomingHttpHeaders, body: Buffer | undefined, client: Departure): Promise<Advice>
}

export function createAdviser(
  { embedder, router, domains, logger, clock = Date.now }: AdviserComponents,
  options: { deadlineMs: number },
): Adviser {
  async function embed(text: string, client: Departure): Promise<Float32Array | undefined> {
    if (embedder.inline) return (await embedder.embed([text]))[0]
    const signal = AbortSignal.any([client.signal, AbortSignal.timeout(options.deadlineMs)])
    return (await embedder.embed([text], { signal }))[0]
  }

  return {
    async advise(url, headers, body, client) {
      const hints = readHints(headers)
      const advice: Advice = {
        requestId: `qis-${randomUUID()}`,
        hints,
        result: 'no_text',
        insight: undefined,
        domain: undefined,
        record: undefined,
      }
      if (hints.optOut) return { ...advice, result: 'opted_out' }
      if (!body) return { ...advice, result: 'too_large' }
      try {
        const query = readQuery(url, body)
        if (!query || query.text === '') return advice
        const vector = await embed(query.text, client)
        if (!vector?.some(component => component !== 0)) return advice
        const model = modelVariant(query.model)
        const prior = hints.selfConfidence
        const found = domains.of({ said: hints.domain, url, headers }, vector)
        const domain = found.name
        const insight = router.lookup({ vector, domain, model, ...(prior !== undefined && { prior }) })
        return {
          ...advice,
          result: insight.grade === 'none' ? 'no_evidence' : 'advised',
          insight,
          domain: found,
          record: {
            requestId: advice.requestId,
            code: insight.code,
            domain,
            model,
            intervention: 0,
            time: Math.floor(clock() / 1000),
            ...(hints.strategy !== undefined && { strategy: hints.strategy }),
            ...(prior !== undefined && { confidence: prior }),
            ...(insight.grade !== 'none' && { expected: Math.round(insight.posterior * 1000) / 1000 }),
          },
        }
      } catch (error) {
        const late = error instanceof DOMException && error.name === 'TimeoutError'
        // That the embedder is away is logged once, where it is known when it will be back.
        const away = error instanceof EmbedderError && error.code === 'ERR_EMBEDDER_UNAVAILABLE'
        if (!late && !away && !client.left) logger.warn({ err: error }, 'a request went through without advice')
        return { ...advice, result: late ? 'deadline' : 'failed' }
      }
    },
  }
}
