/** An answer that is there before it is known what to tell with it waits here, and its server is held up meanwhile. */
import type { AnswerHead, AnswerSink } from './upstream/client.ts'

/** The few pieces that were on their way when the server was held up are all that is kept. */
export class HeldAnswer implements AnswerSink {
  readonly #sink: AnswerSink
  readonly #resume: () => void
  /** What has come, in order; undefined once it is handed on as it comes. */
  #waiting: (() => void)[] | undefined = []
  /** Whether the client takes more. */
  #ready = true

  /** @param resume lets the server go on */
  constructor(sink: AnswerSink, resume: () => void) {
    this.#sink = sink
    this.#resume = resume
  }

  begin(head: AnswerHead): void {
    this.#pass(() => this.#sink.begin(head))
  }

  write(bytes: Buffer, seen?: Buffer): boolean {
    this.#pass(() => {
      this.#ready = this.#sink.write(bytes, seen)
    })
    return this.#waiting === undefined && this.#ready
  }

  end(trailers: readonly Buffer[]): void {
    this.#pass(() => this.#sink.end(trailers))
  }

  fail(error: Error): void {
    this.#pass(() => this.#sink.fail(error))
  }

  /** Hands on what has come, and from now on what comes. */
  release(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const step of waiting) step()
    // A client that is not ready for more lets the server go on by itself.
    if (this.#ready) this.#resume()
  }

  #pass(step: () => void): void {
    if (this.#waiting) this.#waiting.push(step)
    else step()
  }
}
