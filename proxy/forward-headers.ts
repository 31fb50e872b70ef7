/** Which headers go on, both ways: all, as they were written, but for those that concern one connection or are ours. */
import { isInsight } from './insight-headers.ts'

/** Names and values in turn. */
export type HeaderList = string[]

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade'])
/**
 * The upstream has a name of its own; `Expect` has been answered by Node already; trailers undici cannot send; and what is
 * meant for a proxy in front of us is no server's to know (RFC 9110 section 11.7.2).
 */
const NOT_SENT_ON = new Set([...HOP_BY_HOP, 'host', 'expect', 'trailer', 'proxy-authorization'])
const EXPOSED = 'access-control-expose-headers'

/** What a client sent, for the upstream: without any x-qis-* header, forged ones included. */
export function headersToUpstream(rawHeaders: readonly string[], connection: string | undefined): HeaderList {
  const named = namedIn(connection)
  const kept: HeaderList = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    const lower = name.toLowerCase()
    if (NOT_SENT_ON.has(lower) || isInsight(lower) || named?.includes(lower)) continue
    kept.push(name, rawHeaders[at + 1] as string)
  }
  return kept
}

export interface AnswerHeaders {
  list: HeaderList
  /** Empty when there is none. */
  type: string
  encoding: string | undefined
}

/**
 * What the upstream sent, for the client, with what we tell beside it: whatever begins with x-qis- is ours, here and in
 * trailers, so that no upstream can speak for us, nor take back what we say by naming it in `Connection`.
 *
 * @param raw names and values in turn, latin1
 * @param told our own headers
 * @param relocate given the value of `Location`
 */
export function headersToClient(
  raw: readonly Buffer[],
  told: Readonly<Record<string, string>>,
  relocate: (location: string) => string,
): AnswerHeaders {
  const list: HeaderList = []
  let type = ''
  let encoding: string | undefined
  let crossOrigin = false
  let named: readonly string[] | undefined
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] as Buffer).toString('latin1')
    const lower = name.toLowerCase()
    let value = (raw[at + 1] as Buffer).toString('latin1')
    if (lower === 'connection') named = [...(named ?? []), ...(namedIn(value) ?? [])]
    if (HOP_BY_HOP.has(lower) || isInsight(lower)) continue
    if (lower === 'content-type') type ||= value
    else if (lower === 'content-encoding') encoding ??= value
    else if (lower === 'access-control-allow-origin') crossOrigin = true
    else if (lower === 'location') value = relocate(value)
    list.push(name, value)
  }
  const kept = named ? without(list, named) : list
  const ours = Object.keys(told)
  if (crossOrigin && ours.length > 0) expose(kept, ours)
  for (const name of ours) kept.push(name, told[name] as string)
  return { list: kept, type, encoding }
}

/** Browsers may read them, beside what they might read before. */
function expose(list: HeaderList, names: readonly string[]): void {
  const at = list.findLastIndex((name, index) => index % 2 === 0 && name.toLowerCase() === EXPOSED)
  if (at === -1) list.push(EXPOSED, names.join(', '))
  else list[at + 1] = [list[at + 1], ...names].join(', ')
}

/** Those of an answer's trailers that are the upstream's to send. */
export function trailersToClient(raw: readonly Buffer[]): [string, string][] {
  const list = raw.map(bytes => bytes.toString('latin1'))
  const pairs = list.flatMap((name, at): [string, string][] => (at % 2 === 0 ? [[name, list[at + 1] ?? '']] : []))
  return pairs.filter(([name]) => !isInsight(name.toLowerCase()))
}

/** With the length of a body that is not the client's own any more; where none was told, none is. */
export function withLength(list: HeaderList, bytes: number): HeaderList {
  return list.map((item, at) =>
    at % 2 === 1 && /^content-length$/i.test(list[at - 1] as string) ? String(bytes) : item,
  )
}

/** Headers that `Connection` names concern that connection alone. */
function namedIn(connection: string | undefined): readonly string[] | undefined {
  if (connection === undefined || /^(?:keep-alive|close)$/i.test(connection)) return undefined
  return connection.toLowerCase().split(/[ ,]+/)
}

function without(list: HeaderList, names: readonly string[]): HeaderList {
  return list.filter((_, index) => !names.includes((list[index - (index % 2)] as string).toLowerCase()))
}
