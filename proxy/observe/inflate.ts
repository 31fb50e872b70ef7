/** Inflates the copy of a compressed answer on zlib's threads, within bounds, and hands it to a reader. */
import type { Transform } from 'node:stream'
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib'
import type { Allowance } from './allowance.ts'

export interface Inflater {
  write(bytes: Buffer, at: number): void
  /** Once all that was written has been handed on; not called when `failed` is. */
  end(done: () => void): void
  /** Must be called in the end. */
  release(): void
}

interface Coding {
  /** About what its window takes at the settings that servers use. */
  bytes: number
  open(first: Buffer): Transform
}

const KIB = 1024
const MIB = 1024 * KIB
/** RFC 9659: HTTP's zstd windows are no larger than 8 MiB; more would be allocated on a stranger's word. */
const ZSTD_WINDOW_LOG = 23

const gzip: Coding = { bytes: 64 * KIB, open: () => createGunzip() }
const codings: ReadonlyMap<string, Coding> = new Map([
  ['gzip', gzip],
  ['x-gzip', gzip],
  // Meant is the zlib format (RFC 9110 §8.4.1.2), but some send the bare one.
  [
    'deflate',
    { bytes: 64 * KIB, open: first => (((first[0] ?? 0) & 0x0f) === 8 ? createInflate() : createInflateRaw()) },
  ],
  ['br', { bytes: 4 * MIB, open: () => createBrotliDecompress() }],
  [
    'zstd',
    {
      bytes: 8 * MIB,
      open: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } }),
    },
  ],
])

/** What may wait for zlib's threads; when they are behind by more, the answer is given up. */
const MAX_WAITING_BYTES = MIB

/**
 * @param encoding the answer's `content-encoding`
 * @param maxBytes inflated; more is taken for a bomb
 * @param inflated must not throw
 * @param failed called at most once, for whatever reason; nothing is handed on after it
 * @returns undefined for an encoding that is not known, or several at once
 */
export function createInflater(
  encoding: string,
  { maxBytes, allowance }: { maxBytes: number; allowance: Allowance },
  { inflated, failed }: { inflated(bytes: Buffer, at: number): void; failed(): void },
): Inflater | undefined {
  const coding = codings.get(encoding.trim().toLowerCase())
  if (!coding) return undefined
  let stream: Transform | undefined
  let length = 0
  let lastAt = 0
  let over = false
  let held = 0

  function release(): void {
    over = true
    stream?.destroy()
    allowance.giveBack(held)
    held = 0
  }

  function fail(): void {
    if (over) return
    release()
    failed()
  }

  function open(first: Buffer): Transform | undefined {
    if (!coding || !allowance.take(coding.bytes)) return undefined
    held = coding.bytes
    const opened = coding.open(first)
    opened.on('data', (bytes: Buffer) => {
      if (over) return
      length += bytes.length
      if (length > maxBytes) return fail()
      inflated(bytes, lastAt)
    })
    opened.once('error', fail)
    return opened
  }

  return {
    write(bytes, at) {
      if (over) return
      stream ??= open(bytes)
      if (!stream || stream.writableLength > MAX_WAITING_BYTES) return fail()
      lastAt = at
      stream.write(bytes)
    },
    end(done) {
      // What follows the compressed data ends the stream before we do.
      if (!stream || over || stream.readableEnded) return done()
      stream.once('end', done).end()
    },
    release,
  }
}
