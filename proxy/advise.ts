/** From a request's bytes to what is known about its question; fails open, whatever breaks. */
import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type Embedder, EmbedderError } from '../embeddings/embedder.ts'
import { modelVariant } from '../router/model-variant.ts'
import type { Insight, Router } from '../router/router.ts'
import type { Logger } from '../router/telemetry.ts'
import type { AnswerRecord } from './answer-index.ts'
import { type Hints, readHints } from './insight-headers.ts'
import { readQuery } from './query-text.ts'

export type AdviceResult = 'advised' | 'no_evidence' | 'no_text' | 'opted_out' | 'too_large' | 'deadline' | 'failed'

export interface Advice {
  requestId: string
  hints: Hints
  result: AdviceResult
  insight: Insight | undefined
  /** What feedback will need; undefined when the question has no fingerprint. */
  record: AnswerRecord | undefined
}

export interface AdviserComponents {
  embedder: Embedder
  router: Pick<Router, 'lookup'>
  logger: Logger
  clock?: () => number
}

export interface Adviser {
  /**
   * @param body undefined when it was too large to be read
   * @param gone aborted when the client has left
   */
  advise(url: string, headers: IncomingHttpHeaders, body: Buffer | undefined, gone: AbortSignal): Promise<Advice>
}

export function createAdviser(
  { embedder, router, logger, clock = Date.now }: AdviserComponents,
  options: { deadlineMs: number },
): Adviser {
  async function embed(text: string, gone: AbortSignal): Promise<Float32Array | undefined> {
    if (embedder.inline) return (await embedder.embed([text]))[0]
    const signal = AbortSignal.any([gone, AbortSignal.timeout(options.deadlineMs)])
    return (await embedder.embed([text], { signal }))[0]
  }

  return {
    async advise(url, headers, body, gone) {
      const hints = readHints(headers)
      const advice: Advice = {
        requestId: `qis-${randomUUID()}`,
        hints,
        result: 'no_text',
        insight: undefined,
        record: undefined,
      }
      if (hints.optOut) return { ...advice, result: 'opted_out' }
      if (!body) return { ...advice, result: 'too_large' }
      try {
        const query = readQuery(url, body)
        if (!query || query.text === '') return advice
        const vector = await embed(query.text, gone)
        if (!vector?.some(component => component !== 0)) return advice
        const model = modelVariant(query.model)
        const prior = hints.selfConfidence
        const insight = router.lookup({ vector, domain: hints.domain, model, ...(prior !== undefined && { prior }) })
        return {
          ...advice,
          result: insight.grade === 'none' ? 'no_evidence' : 'advised',
          insight,
          record: {
            requestId: advice.requestId,
            code: insight.code,
            domain: hints.domain,
            model,
            intervention: 0,
            time: Math.floor(clock() / 1000),
            ...(hints.strategy !== undefined && { strategy: hints.strategy }),
            ...(prior !== undefined && { confidence: prior }),
          },
        }
      } catch (error) {
        const late = error instanceof DOMException && error.name === 'TimeoutError'
        // That the embedder is away is logged once, where it is known when it will be back.
        const away = error instanceof EmbedderError && error.code === 'ERR_EMBEDDER_UNAVAILABLE'
        if (!late && !away && !gone.aborted) logger.warn({ err: error }, 'a request went through without advice')
        return { ...advice, result: late ? 'deadline' : 'failed' }
      }
    },
  }
}
