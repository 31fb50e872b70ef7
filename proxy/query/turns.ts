/** Knows what the APIs have in common: turns of a conversation, each a string or a list of parts. */
import { standsAlone } from './complete.ts'
import { isString, JsonScan, type Span, stringIs } from './json-scan.ts'
import { cut, decodeEnds } from './long-text.ts'

/** A follow-up such as "and in children?" says too little alone; in bytes of UTF-8, as one Han character says what three letters do. */
const SHORT_BYTES = 24
const SHORT_WORDS = 4
/** Long enough, however few its words: a link, or a script whose words are not known apart. */
const LONG_CHARS = 160
/** Knows where words end, also in scripts that put no space between them. */
const segmenter = new Intl.Segmenter('en', { granularity: 'word' })

/** Takes what a user said from a list of messages, other roles and kinds of item left out, or from a single string. */
export function takeTurns(scan: JsonScan, bytes: Buffer): Span[] {
  if (!scan.enter('[')) return [scan.take()]
  const turns: Span[] = []
  for (const { role, content } of turnsOf(scan)) {
    if (role && content && stringIs(bytes, role, 'user')) turns.push(content)
  }
  return turns
}

export interface Turn {
  role: Span | undefined
  content: Span | undefined
}

/** The objects of a list of messages that the cursor has entered; whatever else is in it is passed over. */
export function* turnsOf(scan: JsonScan): Generator<Turn, void> {
  while (scan.nextElement()) {
    if (!scan.enter('{')) {
      scan.skip()
      continue
    }
    let role: Span | undefined
    let content: Span | undefined
    while (scan.nextMember()) {
      if (scan.keyIs('role')) role = scan.take()
      else if (scan.keyIs('content')) content = scan.take()
      else scan.skip()
    }
    yield { role, content }
  }
}

/** Takes a prompt, or the first of several; token ids have no text. */
export function takePrompt(scan: JsonScan): Span[] {
  if (!scan.enter('[')) return [scan.take()]
  let first: Span | undefined
  while (scan.nextElement()) {
    if (first) scan.skip()
    else first = scan.take()
  }
  return first ? [first] : []
}

/**
 * The last turn that has text, behind those before it while it is too short to stand alone. Tool results are the
 * question only where nothing else is.
 *
 * @throws SyntaxError when a turn is no JSON
 */
export function questionOf(bytes: Buffer, turns: readonly Span[]): string {
  return lastText(bytes, turns, false) || lastText(bytes, turns, true)
}

function lastText(bytes: Buffer, turns: readonly Span[], results: boolean): string {
  let text = ''
  for (let i = turns.length - 1; i >= 0 && isShort(text); i--) {
    const turn = turns[i]
    const before = turn ? cut(decodeEnds(bytes, texts(bytes, turn, results))) : ''
    if (before !== '') text = text === '' ? before : cut(`${before}\n${text}`)
  }
  return text
}

function isShort(text: string): boolean {
  if (text.length >= LONG_CHARS) return false
  if (Buffer.byteLength(text) < SHORT_BYTES) return !standsAlone(text)
  let words = 0
  for (const { isWordLike } of segmenter.segment(text)) {
    if (isWordLike && ++words === SHORT_WORDS) return false
  }
  return !standsAlone(text)
}

/** The strings that hold the text of a turn: itself, or its text parts. */
function texts(bytes: Buffer, turn: Span, results: boolean, found: Span[] = []): Span[] {
  if (isString(bytes, turn)) found.push(turn)
  const scan = new JsonScan(bytes, turn.start)
  if (!scan.enter('[')) return found
  while (scan.nextElement()) {
    if (!scan.enter('{')) {
      const part = scan.take()
      if (isString(bytes, part)) found.push(part)
      continue
    }
    let type: Span | undefined
    let text: Span | undefined
    let content: Span | undefined
    while (scan.nextMember()) {
      if (scan.keyIs('type')) type = scan.take()
      else if (scan.keyIs('text')) text = scan.take()
      else if (scan.keyIs('content')) content = scan.take()
      else scan.skip()
    }
    if (!type) continue
    const is = (name: string) => stringIs(bytes, type, name)
    if (text && isString(bytes, text) && (is('text') || is('input_text'))) found.push(text)
    // A result's own parts hold no further results.
    if (results && content && is('tool_result')) texts(bytes, content, false, found)
  }
  return found
}
