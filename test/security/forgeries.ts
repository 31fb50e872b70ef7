/** Bearer tokens and receipts that are none: made up, altered, cut, spelt otherwise, someone else's, or too old. */
import { createHash, randomBytes, randomInt } from 'node:crypto'
import type { AnswerRecord } from '../../proxy/answer-index.ts'
import { createReceipts, type Receipts } from '../../proxy/receipts.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/**
 * @param fresh a receipt that is accepted
 * @param receipts of the deployment itself, to make expired ones
 * @param lifetimeS for how long its receipts are accepted
 */
export function* forgedReceipts(
  count: number,
  { fresh, receipts, lifetimeS }: { fresh: string; receipts: Receipts; lifetimeS: number },
): Generator<string, void> {
  const record = receipts.open(fresh)
  const stranger = createReceipts([randomBytes(32)])
  const bytes = Buffer.from(fresh, 'base64url')
  const at = () => randomInt(bytes.length)
  const altered = (times: number) => {
    const copy = Buffer.from(bytes)
    for (; times > 0; times--) {
      const place = at()
      copy.writeUInt8(copy.readUInt8(place) ^ randomInt(1, 256), place)
    }
    return copy.toString('base64url')
  }
  const old = (): AnswerRecord => ({
    ...record,
    time: Math.floor(Date.now() / 1000) - lifetimeS - randomInt(1, 10_000),
  })
  const ways: (() => string)[] = [
    () => randomBytes(randomInt(1, 400)).toString('base64url'),
    () => Buffer.concat([bytes.subarray(0, 29), randomBytes(randomInt(17, 300))]).toString('base64url'),
    () => altered(1),
    () => altered(randomInt(2, 20)),
    () => fresh.slice(0, randomInt(1, fresh.length)),
    () => bytes.subarray(randomInt(1, bytes.length)).toString('base64url'),
    () => Buffer.concat([bytes, randomBytes(randomInt(1, 20))]).toString('base64url'),
    () => fresh + ALPHABET[randomInt(64)],
    () => `${fresh.slice(0, -1)}${ALPHABET[randomInt(64)]}`,
    () => [fresh.slice(0, 40), fresh.slice(40)].join(['\n', ' ', '=', '.', '\0', '%'][randomInt(6)]),
    () => bytes.toString(['base64', 'hex', 'latin1'][randomInt(3)] as BufferEncoding),
    () => stranger.seal(record),
    () => receipts.seal(old()),
    () => JSON.stringify(record),
  ]
  for (let made = 0; made < count; ) {
    const receipt = ways[made % ways.length]?.() ?? ''
    // Now and then the change is none.
    if (receipt === fresh) continue
    made++
    yield receipt
  }
}

/** `Authorization` headers. @param token one that is accepted */
export function* forgedTokens(count: number, token: string): Generator<string, void> {
  const digest = createHash('sha256').update(token)
  const hex = digest.digest('hex')
  const place = () => randomInt(token.length)
  const letter = () => ALPHABET[randomInt(64)] ?? ''
  const ways: (() => string)[] = [
    () => `Bearer ${randomBytes(randomInt(1, 64)).toString('base64url')}`,
    () => `Bearer ${token.slice(0, place())}`,
    () => `Bearer ${token.slice(1 + place())}`,
    () => `Bearer ${token}${letter()}`,
    () => `Bearer ${letter()}${token}`,
    () => `Bearer ${token.slice(0, place())}${letter()}${token.slice(place() + 1)}`,
    () => `Bearer ${[...token].reverse().join('')}`,
    () => `Bearer ${token.toUpperCase()}`,
    () => `Bearer ${hex.slice(0, randomInt(1, 65))}`,
    () => `Bearer sha256:${hex}`,
    () => `Basic ${Buffer.from(`:${token}${randomInt(9)}`).toString('base64')}`,
    () => `${['Basic', 'Token', 'Bearer:', 'Bearer,', 'Digest', ''][randomInt(6)]} ${token}`,
    () => `Bearer "${token}"`,
    () => `Bearer ${token} ${token}`,
    () => `Bearer ${token},${letter()}`,
    () => `Bearer ${['', 'null', 'undefined', 'true', '*', 'admin', '%00'][randomInt(7)]}`,
  ]
  for (let made = 0; made < count; ) {
    const header = ways[made % ways.length]?.() ?? ''
    if (header === `Bearer ${token}`) continue
    made++
    yield header
  }
}
