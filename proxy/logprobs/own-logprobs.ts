/**
 * Asks chat models for logprobs on our own account, so that their confidence is known, and takes them out of the answer again:
 * the client gets the bytes it would have got. What those are is learnt first, from an answer that nobody was asked about.
 */
import { withLength } from '../forward-headers.ts'
import type { AnswerHead, AnswerSink, Delivery, Sending, UpstreamClient } from '../upstream/client.ts'
import { formOf, withAnswerLength } from './answer-form.ts'
import { type Habit, HabitSeen, withoutLogprobs } from './choices.ts'
import { DataLines } from './data-lines.ts'
import { createHabits, type Habits } from './habits.ts'
import { type PlainRequest, readPlainRequest } from './request.ts'

/** Of a document, or one line of a stream; larger ones pass as they are. */
const MAX_BYTES = 1024 * 1024
const MAX_MODEL_CHARS = 256
const NONE = Buffer.alloc(0)
const CHAT = /\/chat\/completions\/?(?:\?|$)/
/** Servers that do not know the parameter, or models that have no logprobs to give. */
const REFUSALS: ReadonlySet<number> = new Set([400, 422])
/** What a refusal has not said by then is not waited for: the client has a request under way. */
const REFUSAL_MS = 1_000

/** @param components.now milliseconds */
export function createOwnLogprobs({ client, now }: { client: UpstreamClient; now: () => number }): UpstreamClient {
  const habits = createHabits(now)
  return {
    send(delivery, sink) {
      const { method, path, body, origins, rateable } = delivery
      const candidate = rateable && method === 'POST' && Buffer.isBuffer(body) && CHAT.test(path)
      const plain = candidate ? readPlainRequest(body) : undefined
      if (!plain || plain.model.length > MAX_MODEL_CHARS) return client.send(delivery, sink)
      const key = JSON.stringify([origins[0], plain.streamed, plain.model])
      const habit = habits.of(key)
      if (habit === 'never') return client.send(delivery, sink)
      const learn = (learnt: Habit | 'never') => habits.learn(key, learnt)
      if (habit === undefined) return client.send(delivery, new Watching(sink, { streamed: plain.streamed, learn }))
      return new Asking(client, delivery, plain, sink, { habit, learn })
    },
  }
}

type Learn = (habit: Parameters<Habits['learn']>[1]) => void

/** Hands an answer on untouched, and sees what stands where logprobs would. */
class Watching implements AnswerSink {
  readonly #sink: AnswerSink
  readonly #streamed: boolean
  readonly #learn: Learn
  readonly #seen = new HabitSeen()
  #take: ((bytes: Buffer) => void) | undefined
  #finish = () => {}

  constructor(sink: AnswerSink, { streamed, learn }: { streamed: boolean; learn: Learn }) {
    this.#sink = sink
    this.#streamed = streamed
    this.#learn = learn
  }

  begin(head: AnswerHead): void {
    const form = formOf(head, this.#streamed)
    if (form === 'events') {
      const lines = new DataLines(json => {
        this.#seen.see(json)
        return json
      }, MAX_BYTES)
      this.#take = bytes => lines.write(bytes)
      this.#finish = () => void lines.end()
    } else if (form === 'document') {
      const chunks: Buffer[] = []
      let length = 0
      this.#take = bytes => {
        length += bytes.length
        if (length <= MAX_BYTES) chunks.push(bytes)
      }
      this.#finish = () => length <= MAX_BYTES && this.#seen.see(Buffer.concat(chunks))
    }
    this.#sink.begin(head)
  }

  write(bytes: Buffer): boolean {
    const ready = this.#sink.write(bytes)
    this.#take?.(bytes)
    return ready
  }

  end(trailers: readonly Buffer[]): void {
    this.#sink.end(trailers)
    this.#finish()
    const { habit } = this.#seen
    if (habit) this.#learn(habit)
  }

  fail(error: Error): void {
    this.#sink.fail(error)
  }
}

type State =
  /** Nothing is to be taken out: an error, an answer of another shape, one that was not asked for logprobs. */
  | { is: 'passing' }
  /** A stream, whose whole lines go on as they come. */
  | { is: 'streaming'; lines: DataLines }
  /** A document, whose length has to be told before it. */
  | { is: 'holding'; head: AnswerHead; chunks: Buffer[]; length: number }
  /** It would not be asked: what it says of that is nobody's business, and the request goes again as it was. */
  | { is: 'refused'; late: NodeJS.Timeout }

class Asking implements AnswerSink, Sending {
  readonly #client: UpstreamClient
  readonly #delivery: Delivery
  readonly #sink: AnswerSink
  readonly #streamed: boolean
  readonly #habit: Habit
  readonly #learn: Learn
  #state: State = { is: 'passing' }
  /** The request that is under way asks. */
  #asks = true
  #repeated = false
  #cancelled = false
  #sending: Sending

  constructor(
    client: UpstreamClient,
    delivery: Delivery,
    { asking, streamed }: PlainRequest,
    sink: AnswerSink,
    { habit, learn }: { habit: Habit; learn: Learn },
  ) {
    this.#client = client
    this.#delivery = delivery
    this.#sink = sink
    this.#streamed = streamed
    this.#habit = habit
    this.#learn = learn
    const { headers, instead } = delivery
    this.#sending = client.send(
      {
        ...delivery,
        body: asking,
        headers: uncompressed(withLength([...headers], asking.length)),
        ...(instead && { instead: () => this.#instead(instead) }),
      },
      this,
    )
  }

  /** Another model, of which other things may be known. */
  #instead(instead: NonNullable<Delivery['instead']>): ReturnType<typeof instead> {
    this.#asks = false
    return instead()
  }

  resume(): void {
    this.#sending.resume()
  }

  cancel(reason: Error): void {
    this.#cancelled = true
    if (this.#state.is === 'refused') clearTimeout(this.#state.late)
    this.#sending.cancel(reason)
  }

  begin(head: AnswerHead): void {
    if (this.#asks && REFUSALS.has(head.status)) {
      // which ends in `fail`, as when it breaks off by itself
      const late = setTimeout(() => this.#sending.cancel(new Error('a refusal without an end')), REFUSAL_MS)
      this.#state = { is: 'refused', late }
      return
    }
    // Where it is refused again, it was not for what we had asked.
    if (this.#repeated && head.status < 400) this.#learn('never')
    const form = this.#asks ? formOf(head, this.#streamed) : undefined
    if (form === 'document') {
      this.#state = { is: 'holding', head, chunks: [], length: 0 }
      return
    }
    if (form === 'events') {
      this.#state = { is: 'streaming', lines: new DataLines(json => withoutLogprobs(json, this.#habit), MAX_BYTES) }
    }
    this.#sink.begin(head)
  }

  write(bytes: Buffer): boolean {
    const state = this.#state
    if (state.is === 'refused') return true
    if (state.is === 'passing') return this.#sink.write(bytes)
    if (state.is === 'streaming') return this.#sink.write(state.lines.write(bytes), bytes)
    state.chunks.push(bytes)
    state.length += bytes.length
    return state.length <= MAX_BYTES || this.#letGo(state)
  }

  end(trailers: readonly Buffer[]): void {
    const state = this.#state
    if (state.is === 'refused') {
      this.#repeat(state)
      return
    }
    if (state.is === 'streaming') {
      const rest = state.lines.end()
      if (rest.length > 0) this.#sink.write(rest, NONE)
    } else if (state.is === 'holding') {
      const seen = Buffer.concat(state.chunks)
      const bytes = withoutLogprobs(seen, this.#habit)
      this.#sink.begin(withAnswerLength(state.head, bytes.length))
      if (seen.length > 0) this.#sink.write(bytes, seen)
    }
    this.#sink.end(trailers)
  }

  fail(error: Error): void {
    const state = this.#state
    if (state.is === 'refused' && !this.#cancelled) {
      this.#repeat(state)
      return
    }
    if (state.is === 'streaming') {
      const rest = state.lines.release()
      if (rest.length > 0) this.#sink.write(rest, NONE)
    }
    // Of a document nothing has been told yet, so its client hears plainly that it failed.
    this.#sink.fail(error)
  }

  #letGo({ head, chunks }: Extract<State, { is: 'holding' }>): boolean {
    this.#state = { is: 'passing' }
    this.#sink.begin(head)
    return chunks.length === 0 || this.#sink.write(Buffer.concat(chunks))
  }

  #repeat({ late }: Extract<State, { is: 'refused' }>): void {
    clearTimeout(late)
    this.#state = { is: 'passing' }
    this.#asks = false
    this.#repeated = true
    this.#sending = this.#client.send(this.#delivery, this)
  }
}

/** From compressed answers nothing can be taken out; the model servers themselves do not compress. */
function uncompressed(headers: readonly string[]): string[] {
  return headers.map((item, at) =>
    at % 2 === 1 && headers[at - 1]?.toLowerCase() === 'accept-encoding' ? 'identity' : item,
  )
}
