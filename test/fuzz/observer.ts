/** Answers, sound and broken, in pieces of any size: the observer tells once, in time, the same of the same bytes, and never throws. */
import { isDeepStrictEqual } from 'node:util'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { createResponseObserver } from '../../proxy/observe-response.ts'
import {
  CHAT_BODY,
  CHAT_EVENTS,
  COMMENTED_EVENTS,
  CRLF_EVENTS,
  ERROR_EVENTS,
  NDJSON_LINES,
} from '../support/upstream.ts'
import type { Dice } from './dice.ts'
import type { Target } from './target.ts'

interface ObserverInput {
  type: string
  encoding: string
  /** Hex. */
  bytes: string
  /** Where it is cut. */
  cuts: number[]
  whole: boolean
}

const TYPES = [
  'application/json',
  'text/event-stream',
  'application/x-ndjson',
  'text/event-stream; charset=utf-8',
  'application/problem+json',
  'text/plain',
] as const
const SOUND = [
  CHAT_BODY,
  ...[CHAT_EVENTS, CRLF_EVENTS, COMMENTED_EVENTS, ERROR_EVENTS, NDJSON_LINES].map(parts => parts.join('')),
] as [string, ...string[]]
const PIECES = [
  'data: ',
  'data:',
  '\n',
  '\r',
  '\r\n',
  '\n\n',
  '{',
  '}',
  '[',
  ']',
  '"',
  '\\',
  '\\u',
  '\ufeff',
  ':',
  'id:',
  'event:',
  'null',
  '1e999',
  '[DONE]',
  '"choices":',
  '"usage":{"total_tokens":-1}',
  '"id":7',
  '"model":{}',
  '"logprobs":{"content":[{"logprob":"x"}]}',
  '"tool_calls":[{"index":1e9,"function":{"arguments":"{"}}]',
  '"__proto__":{}',
  '"error":1',
  '\0',
  'é',
  '𝄞',
] as const
const DEADLINE_MS = 5_000

export function observerTarget(): Target<ObserverInput> {
  return {
    make(dice) {
      const encoding = dice.oneIn(4)
        ? dice.pick(['gzip', 'deflate', 'br', 'zstd', 'gzip, br', 'x', ''] as const)
        : 'identity'
      const plain = contents(dice)
      const bytes = dice.oneIn(5) ? plain : packed(plain, encoding)
      return {
        type: dice.pick(TYPES),
        encoding,
        bytes: bytes.toString('hex'),
        cuts: Array.from({ length: dice.below(30) }, () => dice.below(bytes.length + 1)),
        whole: !dice.oneIn(5),
      }
    },
    async examine({ type, encoding, bytes, cuts, whole }) {
      const all = Buffer.from(bytes, 'hex')
      const inPieces = await observe(pieces(all, cuts), { type, encoding, whole })
      if (typeof inPieces === 'string') return inPieces
      // Compressed bytes are inflated as they come, so that where they break tells how much was seen.
      if (encoding !== 'identity') return undefined
      const atOnce = await observe([all], { type, encoding, whole })
      return isDeepStrictEqual(inPieces, atOnce)
        ? undefined
        : `in pieces ${JSON.stringify(inPieces)}, at once ${JSON.stringify(atOnce)}`
    },
    async [Symbol.asyncDispose]() {},
  }
}

async function observe(
  parts: readonly Buffer[],
  { type, encoding, whole }: { type: string; encoding: string; whole: boolean },
): Promise<object | string> {
  let told = 0
  const { promise, resolve } = Promise.withResolvers<object | string>()
  const observer = createResponseObserver({
    onError: error => resolve(`it threw ${error instanceof Error ? error.stack : error}`),
  })
  const follower = observer.follow(
    { type, encoding, wantsJson: () => true },
    ({ firstTokenAt, lastTokenAt, endedAt, ...facts }) => {
      told++
      resolve(facts)
    },
  )
  if (!follower) return {}
  const late = setTimeout(() => resolve('it told nothing'), DEADLINE_MS)
  for (const part of parts) follower.write(part)
  follower.end(whole)
  const facts = await promise
  clearTimeout(late)
  follower.end(false)
  await new Promise(setImmediate)
  return told > 1 ? `it told ${told} times` : facts
}

function contents(dice: Dice): Buffer {
  if (dice.oneIn(10)) return dice.bytes(dice.below(2_000))
  let text: string = dice.pick(SOUND)
  for (let times = dice.below(6); times > 0; times--) {
    const at = dice.below(text.length + 1)
    const piece = dice.oneIn(20) ? dice.pick(PIECES).repeat(2_000) : dice.pick(PIECES)
    text = text.slice(0, at) + piece + text.slice(at + dice.below(dice.pick([1, 8, 200])))
  }
  const bytes = Buffer.from(text)
  if (bytes.length > 0 && dice.oneIn(4)) bytes[dice.below(bytes.length)] = dice.below(256)
  return bytes
}

function packed(bytes: Buffer, encoding: string): Buffer {
  if (encoding === 'gzip') return gzipSync(bytes)
  if (encoding === 'deflate') return deflateSync(bytes)
  return encoding === 'br' ? brotliCompressSync(bytes) : bytes
}

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts)].sort((a, b) => a - b)
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length))
}
