/** Names what a request asked for, by its path, in the few words that metrics may use as a label. */

export type Operation = 'chat' | 'text_completion' | 'responses' | 'messages' | 'generate' | 'embeddings' | 'other'

/** By their ends: gateways and clouds put prefixes before them. The first match counts. */
const ends: readonly (readonly [end: string, Operation])[] = [
  ['/chat/completions', 'chat'],
  ['/api/chat', 'chat'],
  ['/completions', 'text_completion'],
  ['/completion', 'text_completion'],
  ['/responses', 'responses'],
  // Not `/messages` alone, which in the Assistants API are those of a thread.
  ['/v1/messages', 'messages'],
  ['/generate', 'generate'],
  ['/generate_stream', 'generate'],
  ['/embeddings', 'embeddings'],
  ['/embed', 'embeddings'],
]

/** @param url a path, with or without a trailing slash and a query string */
export function operationOf(url: string): Operation {
  const question = url.indexOf('?')
  let length = question === -1 ? url.length : question
  while (url[length - 1] === '/') length--
  return ends.find(([end]) => url.endsWith(end, length))?.[1] ?? 'other'
}
