/** Searches bytes for words that must not be in them, as they are and in the encodings in which bytes travel. */
import { readFile } from 'node:fs/promises'

export interface Leak {
  word: string
  /** How it was written where it was found. */
  encoding: string
}

/** Every word found in `bytes`, ignoring case; each encoding of each word at most once. */
export function findWords(bytes: Uint8Array, words: Iterable<string>): Leak[] {
  const haystack = Buffer.from(bytes).toString('latin1')
  const lower = haystack.toLowerCase()
  const leaks: Leak[] = []
  for (const word of words) {
    const plain = word.toLowerCase()
    if (lower.includes(Buffer.from(plain).toString('latin1'))) leaks.push({ word, encoding: 'plain' })
    if (lower.includes(Buffer.from(plain, 'utf16le').toString('latin1'))) leaks.push({ word, encoding: 'utf16le' })
    for (const spelling of [word, plain]) {
      if (lower.includes(Buffer.from(spelling).toString('hex'))) leaks.push({ word, encoding: 'hex' })
      if (base64Forms(spelling).some(form => haystack.includes(form))) leaks.push({ word, encoding: 'base64' })
    }
  }
  return [...new Map(leaks.map(leak => [`${leak.word}/${leak.encoding}`, leak])).values()]
}

/** How a word looks inside base64, at each of the three alignments, without the digits that its neighbours share. */
function base64Forms(word: string): string[] {
  return [0, 1, 2].map(offset => {
    const padded = Buffer.concat([Buffer.alloc(offset), Buffer.from(word)])
    const whole = padded.subarray(0, padded.length - (padded.length % 3))
    return whole.toString('base64').slice(offset === 0 ? 0 : offset + 1)
  })
}

/** Reads a capture file (see proxy/capture-file.ts) as one run of bytes for each direction. */
export async function readCapture(path: string): Promise<{ in: Buffer; out: Buffer }> {
  const chunks = { in: [] as Buffer[], out: [] as Buffer[] }
  for (const line of (await readFile(path, 'utf8')).split('\n')) {
    const [direction, data] = line.split(' ')
    if ((direction === 'in' || direction === 'out') && data !== undefined) {
      chunks[direction].push(Buffer.from(data, 'base64'))
    }
  }
  return { in: Buffer.concat(chunks.in), out: Buffer.concat(chunks.out) }
}

/** Words long enough that they do not turn up in random bytes, nor in the names of protocols. */
export function wordsOf(texts: Iterable<string>): Set<string> {
  return new Set([...texts].flatMap(text => text.toLowerCase().match(/\p{L}{6,}/gu) ?? []))
}
