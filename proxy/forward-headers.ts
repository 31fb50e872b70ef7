/** Which headers go on, both ways: all, as they were written, but for those that concern one connection or are ours. */
import { isInsight } from './insight-headers.ts'

/** Names and values in turn. */
export type HeaderList = string[]

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade'])
/** The upstream has a name of its own; `Expect` has been answered by Node already; trailers undici cannot send. */
const NOT_SENT_ON = new Set([...HOP_BY_HOP, 'host', 'expect', 'trailer'])
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
 * What the upstream sent, for the client, with what we tell beside it.
 *
 * @param raw names and values in turn, latin1
 * @param told our own headers; they take the place of those that an upstream sends under the same names
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
  let exposedAt = -1
  let named: readonly string[] | undefined
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] as Buffer).toString('latin1')
    const lower = name.toLowerCase()
    let value = (raw[at + 1] as Buffer).toString('latin1')
    if (lower === 'connection') named = namedIn(value)
    if (HOP_BY_HOP.has(lower) || lower in told) continue
    if (lower === 'content-type') type ||= value
    else if (lower === 'content-encoding') encoding ??= value
    else if (lower === 'access-control-allow-origin') crossOrigin = true
    else if (lower === EXPOSED) exposedAt = list.length + 1
    else if (lower === 'location') value = relocate(value)
    list.push(name, value)
  }
  const ours = Object.keys(told)
  if (crossOrigin && ours.length > 0) {
    if (exposedAt === -1) list.push(EXPOSED, ours.join(', '))
    else list[exposedAt] = [list[exposedAt], ...ours].join(', ')
  }
  for (const name of ours) list.push(name, told[name] as string)
  return { list: named ? without(list, named) : list, type, encoding }
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
