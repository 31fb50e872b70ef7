/** Gathers, where it will be checked, what of an answer has to be JSON: its text, and the arguments of tool calls. */
import { asRecord } from './json-record.ts'

/** Longer ones are not judged. */
const MAX_CHARS = 256 * 1024

/** Text that comes in pieces; undefined once it is too long, or holds what is no text. */
export class Pieces {
  #pieces: string[] | undefined = []
  #chars = 0

  add(piece: unknown): void {
    this.#chars += typeof piece === 'string' ? piece.length : 0
    if (typeof piece !== 'string' || this.#chars > MAX_CHARS) this.#pieces = undefined
    else this.#pieces?.push(piece)
  }

  clear(): void {
    this.#pieces = []
    this.#chars = 0
  }

  get all(): readonly string[] | undefined {
    return this.#pieces
  }
}

/** The arguments of the tool calls of one answer, as OpenAI's two APIs send them. */
export class ToolArguments {
  /** By the number of the call; some servers give all of them the same. */
  readonly #calls = new Map<unknown, Pieces>()
  /** Where a new call began under the same number. */
  readonly #starts = new Map<unknown, number[]>()
  #chars = 0

  /** @param tools a list of calls, or parts of calls; or one alone */
  add(tools: unknown): void {
    for (const tool of Array.isArray(tools) ? tools : [tools]) {
      const call = asRecord(tool)
      const named = asRecord(call?.function) ?? call
      const text = named?.arguments
      // An object has been read already.
      if (!call || typeof text !== 'string') continue
      this.#chars += text.length
      if (this.#chars > MAX_CHARS) return
      const number = call.index ?? call.id ?? call.call_id ?? 0
      const pieces = this.#calls.get(number) ?? new Pieces()
      const starts = this.#starts.get(number) ?? [0]
      const place = pieces.all?.length ?? 0
      if ((call.id || named?.name) && starts.at(-1) !== place) starts.push(place)
      this.#starts.set(number, starts)
      this.#calls.set(number, pieces)
      // No arguments at all are none that could be wrong.
      if (text !== '') pieces.add(text)
    }
  }

  clear(): void {
    this.#calls.clear()
    this.#starts.clear()
    this.#chars = 0
  }

  /** True only if they are no JSON however they are put together: in doubt they are good. */
  get broken(): boolean {
    if (this.#chars > MAX_CHARS) return false
    return this.#calls.entries().some(([number, { all = [] }]) => {
      const starts = this.#starts.get(number) ?? [0]
      const apart = starts.map((start, at) => all.slice(start, starts[at + 1]).join('')).filter(text => text !== '')
      return all.length > 0 && !isJson(all.join('')) && !apart.every(isJson) && !all.every(isJson)
    })
  }
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
