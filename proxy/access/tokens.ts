/** Who holds a token: known by digests alone, compared in constant time, and read anew when its file changes. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'

/** As configured: a token, its hash as `sha256:<64 hex digits>`, or a file of either, one a line. */
export type TokenSetting = { readonly entries: readonly TokenEntry[] } | { readonly file: string }

export interface TokenEntry {
  /** SHA-256 of the token. */
  digest: Buffer
  /** What stands behind it on its line: what its holder may. */
  rights: readonly string[]
}

/** The entry whose token an `Authorization` header shows. */
export type TokenCheck = (authorization: string | undefined) => TokenEntry | undefined

export class TokenFileInvalidError extends Error {
  override readonly name = 'TokenFileInvalidError'
  readonly code = 'ERR_CONFIG_INVALID'
}

/** So often at most a file is looked at, when somebody shows a token. */
const LOOK_MS = 1_000
const MAX_FILE_BYTES = 1024 * 1024
const EXPECTED = 'a token of visible characters, its hash as sha256:<64 hex digits>, or file:PATH'

/**
 * @param rights the words that may stand behind a token
 * @throws {Error} with the second half of "NAME must be …"; never with what was given
 */
export const tokens =
  (...rights: string[]) =>
  (text: string, base = ''): TokenSetting => {
    const file = /^file:(.+)$/.exec(text)?.[1]
    return file === undefined ? { entries: [readEntry(text, rights)] } : { file: resolve(base, file) }
  }

function readEntry(line: string, allowed: readonly string[]): TokenEntry {
  const [token = '', ...rights] = line.trim().split(/\s+/)
  const hash = /^sha256:([0-9a-f]{64})$/i.exec(token)?.[1]
  const known = rights.every(right => allowed.includes(right))
  if (!/^[!-~]+$/.test(token) || !known || (hash === undefined && token.startsWith('sha256:'))) {
    throw new Error(allowed.length > 0 ? `${EXPECTED}, with any of ${allowed.join(', ')} behind it` : EXPECTED)
  }
  return { digest: hash === undefined ? digestOf(token) : Buffer.from(hash, 'hex'), rights }
}

/**
 * @param allowed as given to `tokens`
 * @param onError told when a file cannot be read any more: nobody may pass then, until it can
 * @throws {TokenFileInvalidError} when a file cannot be read now
 */
export function createTokenCheck(
  setting: TokenSetting,
  { allowed = [], onError, clock = Date.now }: CheckOptions = {},
): TokenCheck {
  if ('entries' in setting) return authorization => match(setting.entries, authorization)
  const { file } = setting
  let { entries, stamp } = load(file, allowed)
  let lookedAt = clock()
  return authorization => {
    if (authorization !== undefined && clock() - lookedAt >= LOOK_MS) {
      lookedAt = clock()
      try {
        if (stampOf(file) !== stamp) ({ entries, stamp } = load(file, allowed))
      } catch (error) {
        if (entries.length > 0) onError?.(error)
        entries = []
        stamp = ''
      }
    }
    return match(entries, authorization)
  }
}

export interface CheckOptions {
  allowed?: readonly string[]
  onError?: (error: unknown) => void
  clock?: () => number
}

function load(file: string, allowed: readonly string[]): { entries: TokenEntry[]; stamp: string } {
  try {
    // The stamp first: what is written in between is then read once more.
    const stamp = stampOf(file)
    const text = readFileSync(file, 'utf8')
    if (text.length > MAX_FILE_BYTES) throw new Error(`it is larger than ${MAX_FILE_BYTES} bytes`)
    const lines = text.split('\n').filter(line => line.trim() !== '' && !line.startsWith('#'))
    return { entries: lines.map(line => readEntry(line, allowed)), stamp }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const why = code === undefined ? `each line must be ${message}` : code
    throw new TokenFileInvalidError(`the tokens in ${file} cannot be read (${why})`, { cause })
  }
}

function stampOf(file: string): string {
  const { ino, size, mtimeMs } = statSync(file)
  return `${ino}/${size}/${mtimeMs}`
}

/** All are compared, so that the time tells nothing of which it was. */
function match(entries: readonly TokenEntry[], authorization: string | undefined): TokenEntry | undefined {
  const token = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
  if (token === undefined) return undefined
  const digest = digestOf(token)
  let found: TokenEntry | undefined
  for (const entry of entries) if (timingSafeEqual(entry.digest, digest)) found ??= entry
  return found
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
