/** What can be learnt from an answer by reading along, and the tally in which it is gathered. */
import { isJson, Pieces, ToolArguments } from './form.ts'
import { asRecord } from './json-record.ts'

/**
 * How far the reading came: `complete`; `partial`, when an event too large was left out; `broken_off`, when the client
 * left or the upstream died; `gave_up`, when it fell behind or the document was too large; `unreadable`, when nothing in
 * it was what its type promised; `compressed`, when it could not be inflated within bounds.
 */
export type ObservationResult = 'complete' | 'partial' | 'broken_off' | 'gave_up' | 'unreadable' | 'compressed'

export interface Observation {
  result: ObservationResult
  /** As `chatcmpl-…`, `resp_…`, `msg_…`; undefined when the answer had none, as Ollama's and TGI's own. */
  completionId: string | undefined
  model: string | undefined
  /** Mean token probability from the answer's own logprobs, 0..1. */
  confidence: number | undefined
  /** As the server counts them; each may be missing without the other. */
  inputTokens: number | undefined
  outputTokens: number | undefined
  /** In the server's own word. */
  finishReason: string | undefined
  toolCall: boolean
  /** The model declined, or a content filter stepped in, where the API says so. */
  refused: boolean
  /** The answer carried an error, whatever its status. */
  failed: boolean
  /** It came to its end with nothing in it: no text, no tool call, no refusal, no error. */
  empty: boolean
  /** A length limit stopped it, or it ended without saying that it was over. */
  cutShort: boolean
  /** The request asked for JSON, and the answer, which came whole, is none. */
  badJson: boolean
  /** A tool was called with arguments that are no JSON. */
  badToolCall: boolean
  /** When a stream's first and last tokens came, `performance.now()`; undefined for documents. */
  firstTokenAt: number | undefined
  lastTokenAt: number | undefined
  /** When its last byte came, `performance.now()`. */
  endedAt: number
}

const CUT_SHORT = new Set([
  'length',
  'max_tokens',
  'max_output_tokens',
  'model_length',
  'model_context_window_exceeded',
])
const MAX_NAME_CHARS = 256

/** Gathers facts one event at a time. Of each name the first counts, of each number the last. */
export class Tally {
  completionId: string | undefined
  model: string | undefined
  inputTokens: number | undefined
  outputTokens: number | undefined
  finishReason: string | undefined
  toolCall = false
  refused = false
  failed = false
  text = false
  /** A first token has come, be it of reasoning. */
  begun = false
  /** The server has said that the answer is over. */
  over = false
  #probability = 0
  #tokens = 0
  readonly #wantsJson: () => boolean
  #checked: boolean | undefined
  readonly #text = new Pieces()
  readonly #arguments = new ToolArguments()

  /** @param wantsJson whether the answer is to be JSON; asked once, at the answer's first text */
  constructor(wantsJson: () => boolean = () => false) {
    this.#wantsJson = wantsJson
  }

  /** Whether all of the text has to be read, since it will be checked. */
  get checksText(): boolean {
    this.#checked ??= this.#wantsJson()
    return this.#checked
  }

  identify(id: unknown, model: unknown): void {
    this.completionId ??= asName(id)
    this.model ??= asName(model)
  }

  count(input: unknown, output: unknown): void {
    if (isCount(input)) this.inputTokens = input
    if (isCount(output)) this.outputTokens = output
  }

  said(content: unknown): void {
    if ((typeof content !== 'string' && !Array.isArray(content)) || content.length === 0) return
    this.text = this.begun = true
    if (this.checksText) this.#text.add(content)
  }

  thought(content: unknown): void {
    if (typeof content === 'string' && content !== '') this.begun = true
  }

  called(tools: unknown): void {
    if (Array.isArray(tools) ? tools.length === 0 : !asRecord(tools)) return
    this.toolCall = this.begun = true
    this.#arguments.add(tools)
  }

  /** What comes now is the whole answer once more, whose parts have come before. */
  startOver(): void {
    this.#text.clear()
    this.#arguments.clear()
  }

  finished(reason: unknown): void {
    const name = asName(reason)
    if (name === undefined) return
    this.finishReason = name
    this.over = true
    if (name === 'content_filter' || name === 'refusal') this.refused = true
    if (name === 'error' || name === 'failed') this.failed = true
  }

  sure(logprob: unknown): void {
    if (typeof logprob !== 'number' || !Number.isFinite(logprob)) return
    this.#probability += Math.exp(Math.min(0, logprob))
    this.#tokens++
  }

  /** @param streamed whether the end had to be announced */
  summarise(
    result: ObservationResult,
    streamed: boolean,
  ): Omit<Observation, 'firstTokenAt' | 'lastTokenAt' | 'endedAt'> {
    const { completionId, model, inputTokens, outputTokens, finishReason, toolCall, refused, failed } = this
    const whole = result === 'complete' && !refused && !failed && !CUT_SHORT.has(finishReason ?? '')
    const unannounced = !this.over && (result === 'broken_off' || (result === 'complete' && streamed))
    return {
      result,
      completionId,
      model,
      confidence: this.#tokens > 0 ? this.#probability / this.#tokens : undefined,
      inputTokens,
      outputTokens,
      finishReason,
      toolCall,
      refused,
      failed,
      empty: result === 'complete' && !(this.text || toolCall || refused || failed),
      cutShort: unannounced || CUT_SHORT.has(finishReason ?? ''),
      badJson: whole && !unannounced && this.text && !toolCall && this.checksText && this.#isNoJson(),
      badToolCall: whole && !unannounced && toolCall && this.#arguments.broken,
    }
  }

  #isNoJson(): boolean {
    const pieces = this.#text.all
    return pieces !== undefined && !isJson(pieces.join(''))
  }
}

/** Longer ones are no names, and nobody could ask for half of one. */
function asName(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_CHARS ? value : undefined
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
