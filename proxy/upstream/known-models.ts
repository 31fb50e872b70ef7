/** Which models the LLM servers have, by their own lists: only such a name may be told of an answer, not any that a client wrote. */
import { type Dispatcher, request } from 'undici'
import { modelVariant } from '../../router/model-variant.ts'
import { modelsIn } from './model-names.ts'
import { readBounded, type UpstreamEntry } from './upstreams.ts'

export interface KnownModels extends AsyncDisposable {
  /**
   * What the model is called that answered under this variant: the same where it is known; where the servers have one model
   * and no other, that one, since such servers answer under any name. Undefined else. Never waits; asks the servers anew in the
   * background, now and then.
   */
  of(variant: string): string | undefined
  /** Servers of which no list has been had yet, and none was configured. */
  unlisted(): string[]
  /** Resolves when no server is being asked. */
  settled(): Promise<void>
}

export interface KnownModelsOptions {
  entries: readonly UpstreamEntry[]
  /** Names of models that the operator has given elsewhere. */
  configured?: (() => readonly string[]) | undefined
  /** Between two readings at least, where all servers have told. @default 60000 */
  refreshMs?: number
  /** And where one has not. @default 5000 */
  retryMs?: number
  deadlineMs?: number
}

/** Of one server; no server has more, but aggregators that are no LLM server. */
const MAX_MODELS = 1_000
/** Of OpenAI's API, Ollama's own, and TGI's. */
const PATHS = ['/v1/models', '/api/tags', '/info']

/** @param dispatcher how to reach them: their certificates, their time-outs */
export function createKnownModels(
  { dispatcher, now = performance.now.bind(performance) }: { dispatcher: Dispatcher; now?: () => number },
  options: KnownModelsOptions,
): KnownModels {
  const { entries, configured = () => [], refreshMs = 60_000, retryMs = 5_000, deadlineMs = 3_000 } = options
  const lists = new Map(entries.filter(({ models }) => models.length > 0).map(({ origin, models }) => [origin, models]))
  let known = variantsOf(lists)
  const asked = entries.filter(({ origin }) => !lists.has(origin)).map(({ origin }) => origin)
  const unlisted = () => asked.filter(origin => !lists.has(origin))
  const stopping = new AbortController()
  let reading: Promise<void> | undefined
  let readAt = Number.NEGATIVE_INFINITY

  /** The first that answers with names. */
  async function read(origin: string): Promise<void> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(deadlineMs)])
    for (const path of PATHS) {
      const { statusCode, body } = await request(origin + path, { dispatcher, signal })
      const names = statusCode === 200 ? modelsIn(await readBounded(body)) : await body.dump().then(() => [])
      if (names.length === 0) continue
      lists.set(origin, names.slice(0, MAX_MODELS))
      known = variantsOf(lists)
      return
    }
  }

  function readAll(): void {
    if (reading || stopping.signal.aborted || asked.length === 0) return
    if (now() - readAt < (unlisted().length > 0 ? retryMs : refreshMs)) return
    readAt = now()
    // What was read before stands where one cannot be asked now.
    reading = Promise.allSettled(asked.map(read)).then(() => {
      reading = undefined
    })
  }

  readAll()
  return {
    of(variant) {
      if (known.has(variant)) return variant
      const own = new Set(configured().map(name => modelVariant(name)))
      if (own.has(variant)) return variant
      readAll()
      const [only, ...more] = known.union(own)
      return more.length === 0 && unlisted().length === 0 ? only : undefined
    },
    unlisted,
    async settled() {
      await reading
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await reading
    },
  }
}

function variantsOf(lists: ReadonlyMap<string, readonly string[]>): Set<string> {
  return new Set([...lists.values()].flatMap(names => names.map(name => modelVariant(name))))
}
