/** Searches bytes for words that must not be in them, as they are and in the encodings in which bytes travel and are kept. */
import { readFile } from 'node:fs/promises'
import { constants, inflateRawSync } from 'node:zlib'

export interface Leak {
  word: string
  /** How it was written where it was found. */
  encoding: string
}

/** Every word found in `bytes`, ignoring case, and in what is compressed in them; each encoding of each word at most once. */
export function findWords(bytes: Uint8Array, words: Iterable<string>): Leak[] {
  const found = new Map<string, Leak>()
  const layers = [{ bytes, within: '' }, ...inflated(bytes)]
  const texts = layers.map(({ bytes, within }) => ({ ...haystack(bytes), within }))
  for (const word of words) {
    const spellings = spellingsOf(word)
    for (const { exact, lower, within } of texts) {
      for (const { encoding, text, anyCase } of spellings) {
        if ((anyCase ? lower : exact).includes(text)) {
          const leak = { word, encoding: within + encoding }
          found.set(`${leak.word}/${leak.encoding}`, leak)
        }
      }
    }
  }
  return [...found.values()]
}

export interface Spelling {
  encoding: string
  /** As latin1. */
  text: string
  /** In lower case; looked for in any. */
  anyCase: boolean
}

/** How a word may stand in bytes. */
export function spellingsOf(word: string): Spelling[] {
  const plain = word.toLowerCase()
  const utf16 = Buffer.from(plain, 'utf16le')
  const spelling = (encoding: string, bytes: Buffer | string, anyCase = true): Spelling => ({
    encoding,
    text: typeof bytes === 'string' ? bytes : bytes.toString('latin1'),
    anyCase,
  })
  const escaped = (each: (unit: number) => string) => Array.from(plain, (_, at) => each(plain.charCodeAt(at))).join('')
  const spellings = [
    spelling('plain', Buffer.from(plain)),
    spelling('utf16le', utf16),
    spelling('utf16be', Buffer.from(utf16).swap16()),
    spelling(
      'escaped',
      escaped(unit => `\\u${unit.toString(16).padStart(4, '0')}`),
    ),
    spelling('byte list', [...Buffer.from(plain)].join(',')),
    spelling('percent', Buffer.from(plain).toString('hex').replace(/../g, '%$&')),
  ]
  for (const form of new Set([word, plain])) {
    spellings.push(spelling('hex', Buffer.from(form).toString('hex')))
    for (const text of base64Forms(form)) {
      spellings.push(spelling('base64', text, false))
      const url = text.replaceAll('+', '-').replaceAll('/', '_')
      if (url !== text) spellings.push(spelling('base64', url, false))
    }
  }
  return spellings
}

function haystack(bytes: Uint8Array): { exact: string; lower: string } {
  const exact = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  return { exact, lower: exact.toLowerCase() }
}

const MAX_INFLATED_BYTES = 64 * 1024 * 1024
/** How gzip and zlib begin, at their usual levels, and how long that head is; what follows is the same in both. */
const HEADS: readonly [name: string, magic: Buffer, length: number][] = [
  ['gzip ', Buffer.of(0x1f, 0x8b, 0x08, 0x00), 10],
  ...[0x01, 0x5e, 0x9c, 0xda].map(level => ['zlib ', Buffer.of(0x78, level), 2] as [string, Buffer, number]),
]

/** Whatever can be inflated, wherever in `bytes` it begins and whatever comes after it. */
export function* inflated(bytes: Uint8Array): Generator<{ bytes: Buffer; within: string }, void> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_INFLATED_BYTES }
  for (const [within, magic, length] of HEADS) {
    for (let at = all.indexOf(magic); at !== -1; at = all.indexOf(magic, at + 1)) {
      try {
        const opened = inflateRawSync(all.subarray(at + length), options)
        if (opened.length > 0) yield { bytes: opened, within }
      } catch {
        // These bytes only looked like it.
      }
    }
  }
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
