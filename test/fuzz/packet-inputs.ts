/** Bytes that somebody might send instead of a packet: noise, packets that were altered, and lies that are well signed. */
import { envelope, seedOf, signer, TYPE } from '../support/envelope.ts'
import { createDice, type Dice } from './dice.ts'

export interface Input {
  /** How it came about. */
  kind: string
  bytes: Buffer
}

/** Signing is slow and keys tell the reader nothing: a few do. */
const SIGNERS = [1, 2, 3].map(byte => signer(seedOf(byte))) as [ReturnType<typeof signer>]

const NUMBERS = [
  '0',
  '1',
  '-0',
  '0.5',
  '0.50',
  '0.001',
  '0.0005',
  '1.0',
  '1e0',
  '1E400',
  '-1',
  '2',
  '01',
  '.5',
] as const
const MORE_NUMBERS = ['255', '256', '168', '720', '721', '3600', '3601', '4294965600', '4294969200', '9e15'] as const
const VALUES = [
  ...NUMBERS,
  ...MORE_NUMBERS,
  'null',
  'true',
  'false',
  '""',
  '"h"',
  '[]',
  '{}',
  '"0"',
  '"\\u0068"',
] as const
const CHARACTERS = [
  '',
  ' ',
  '\n',
  '\0',
  '"',
  '\\',
  '{',
  '}',
  ',',
  ':',
  '0',
  'e',
  'A',
  'é',
  '\ufeff',
  '𝄞',
  '\\u0061',
] as const

/** @param count how many; the same seed gives the same ones */
export function* packetInputs(count: number, seed: number): Generator<Input, void> {
  const dice = createDice(seed)
  for (let made = 0; made < count; made++) {
    const [, kind, make] = dice.pick(WEIGHTED)
    yield { kind, bytes: make(dice) }
  }
}

type Make = (dice: Dice) => Buffer
const KINDS: [weight: number, kind: string, make: Make][] = [
  [1, 'noise', dice => dice.bytes(dice.below(600))],
  [1, 'an envelope of noise', envelopeOfNoise],
  [1, 'sound', dice => sealed(dice, payload(dice, 0))],
  [5, 'bytes altered', dice => altered(dice, sealed(dice, payload(dice, 0)))],
  [4, 'an envelope written otherwise', otherEnvelope],
  [3, 'values out of bounds, signed', dice => sealed(dice, payload(dice, 6))],
  [5, 'a payload rewritten, signed', dice => sealed(dice, rewritten(dice, payload(dice, 0)))],
]
const WEIGHTED = KINDS.flatMap(kind => Array.from({ length: kind[0] }, () => kind)) as [(typeof KINDS)[number]]

function sealed(dice: Dice, text: string | Buffer): Buffer {
  return envelope({ payload: text, ...dice.pick(SIGNERS) })
}

/** A payload in canonical form. @param faultEvery one value in so many is out of bounds; 0 for none */
function payload(dice: Dice, faultEvery: number): string {
  const value = (sound: () => string, unsound: readonly [string, ...string[]]) =>
    faultEvery > 0 && dice.oneIn(faultEvery) ? dice.pick(unsound) : sound()
  const word = (alphabet: string, min: number, max: number) =>
    Array.from({ length: min + dice.below(max - min + 1) }, () => alphabet[dice.below(alphabet.length)]).join('')
  const hex = (min: number, max = min) => word('0123456789abcdef', min, max)
  const name = (max: number) => word('ab0', 1, 1) + word('ab0._-', 0, max - 1)
  const quoted = (text: string) => `"${text}"`
  const fraction = () => String(dice.oneIn(3) ? dice.below(2) : dice.below(1001) / 1000)
  const maybe = (text: string) => (dice.oneIn(2) ? text : '')
  const tooLong = quoted('a'.repeat(33))
  const faults = ['""', '"A"', '"é"', '"a\\n"', tooLong, '0', 'null', '"a/b"'] as const
  return [
    `{"v":${value(() => '1', ['0', '2', '1.0', '"1"'])}`,
    `,"sp":${value(() => quoted(hex(8)), ['"0123abc"', '"0123ABCD"', '"0123abcde"', ...faults])}`,
    `,"d":${value(() => quoted(name(32)), ['".a"', '"-a"', ...faults])}`,
    `,"qsh":${value(() => quoted(hex(2, 16)), ['"a"', quoted('f'.repeat(17)), '"0G"', ...faults])}`,
    `,"os":${value(fraction, NUMBERS)}`,
    maybe(`,"ci":${value(fraction, NUMBERS)}`),
    `,"mv":${value(() => quoted(word('abc019._:+~-', 1, 24)), [quoted('m'.repeat(25)), ...faults])}`,
    maybe(
      `,"ca":${value(() => 'true', ['false', '1'])},"ct":${value(() => quoted(dice.pick(['factual', 'reasoning', 'format', 'safety', 'other'])), faults)}`,
    ),
    maybe(`,"st":${value(() => quoted(name(16)), [quoted('s'.repeat(17)), ...faults])}`),
    `,"ob":${value(() => quoted(dice.pick(['h', 'e', 'i'])), ['"x"', '"H"', ...faults])}`,
    maybe(`,"ad":${value(() => dice.pick(['1', '2']), ['0', '3', '1.5'])}`),
    `,"n":${value(() => quoted(hex(16)), [quoted('0'.repeat(15)), quoted('0'.repeat(17)), ...faults])}`,
    `,"rv":${value(() => String(dice.below(256)), ['256', '-1', '0.5', '1e2'])}`,
    maybe(`,"op":${value(() => '1', ['0', '2', 'true'])}`),
    maybe(`,"ep":${value(() => dice.pick(['1', '2', '4']), ['0', '3', '8', '0.5'])}`),
    `,"ts":${value(() => String(3600 * dice.below(1_193_047)), MORE_NUMBERS)}`,
    `,"ttl":${value(() => String(1 + dice.below(720)), ['0', '721', '1.5', '-1'])}}`,
  ].join('')
}

function rewritten(dice: Dice, text: string): string | Buffer {
  const pairs = text.slice(1, -1).split(',')
  const at = dice.below(pairs.length)
  const [key = '', value = ''] = (pairs[at] ?? '').split(/:(.*)/)
  const put = (pair: string) => `{${pairs.with(at, pair).join(',')}}`
  const place = dice.below(text.length + 1)
  switch (dice.below(13)) {
    case 0:
      return put(`${key}:${dice.pick(VALUES)}`)
    case 1:
      return put(`${key}:${dice.pick(CHARACTERS)}${value}`)
    case 2:
      return put(`${key}:${value},${key}:${dice.pick([value, ...VALUES])}`)
    case 3:
      return `{${pairs.toSpliced(at, 1).join(',')}}`
    case 4:
      return `{${[...pairs.toSpliced(at, 1), pairs[at]].join(',')}}`
    case 5:
      return put(
        `${key}:${value},"${dice.pick(['x', 'V', '__proto__', 'constructor', 'ad', 'op', 'ca', 'ct'])}":${dice.pick(VALUES)}`,
      )
    case 6:
      return text.slice(0, place) + dice.pick(CHARACTERS) + text.slice(place)
    case 7:
      return text.slice(0, place) + text.slice(place + 1)
    case 8:
      return dice.pick(['', 'null', '{}', '[]', '0', '"', text + text, `[${text}]`, `${text} `, `\ufeff${text}`])
    case 9: {
      const depth = dice.below(240)
      return put(`${key}:${'['.repeat(depth)}${']'.repeat(depth)}`)
    }
    case 10:
      // An escape means the same to a JSON reader, and is not the canonical spelling.
      return text.replace(/[a-f]/, letter => `\\u00${letter.charCodeAt(0).toString(16)}`)
    case 11:
      return altered(dice, Buffer.from(text))
    default:
      return text.replace(/\d/g, digit => (dice.oneIn(8) ? String(dice.below(10)) : digit))
  }
}

function altered(dice: Dice, bytes: Buffer): Buffer {
  let changed = Buffer.from(bytes)
  for (let times = 1 + dice.below(dice.pick([1, 1, 8])); times > 0; times--) {
    const at = dice.below(changed.length)
    const length = 1 + dice.below(dice.pick([1, 4, 64]))
    const [before, cut, after] = [
      changed.subarray(0, at),
      changed.subarray(at, at + length),
      changed.subarray(at + length),
    ]
    switch (dice.below(6)) {
      case 0:
        changed[at] = (changed[at] ?? 0) ^ (1 << dice.below(8))
        break
      case 1:
        changed[at] = dice.pick([0, 1, 0x7f, 0x80, 0xff, dice.below(256)])
        break
      case 2:
        changed = Buffer.concat([before, after])
        break
      case 3:
        changed = Buffer.concat([before, dice.bytes(length), cut, after])
        break
      case 4:
        changed = Buffer.concat([before, cut, cut, after])
        break
      default:
        changed = Buffer.from(before)
    }
    if (changed.length === 0) return changed
  }
  return changed
}

function envelopeOfNoise(dice: Dice): Buffer {
  const { publicKey } = dice.pick(SIGNERS)
  const some = (or: Buffer) => (dice.oneIn(2) ? or : dice.bytes(dice.below(90)))
  return envelope({
    publicKey: some(publicKey),
    type: some(TYPE),
    payload: some(Buffer.from(payload(dice, 0))),
    signature: dice.bytes(dice.oneIn(3) ? dice.below(90) : 64),
  })
}

/** A true signature over a true payload, in an envelope that a lenient reader would take for the same. */
function otherEnvelope(dice: Dice): Buffer {
  const { publicKey, signature } = dice.pick(SIGNERS)
  const parts = { payload: Buffer.from(payload(dice, 0)), publicKey, signature }
  const sound = envelope(parts)
  const fields = fieldsOf(sound)
  const at = dice.below(fields.length)
  const field = fields[at] ?? sound
  switch (dice.below(8)) {
    case 0:
      return Buffer.concat([sound, unknownField(dice)])
    case 1:
      return Buffer.concat(fields.toSpliced(at, 0, unknownField(dice)))
    case 2:
      return Buffer.concat([...fields, field])
    case 3:
      return Buffer.concat([...fields.toSpliced(at, 1), field])
    case 4:
      return Buffer.concat(fields.toSpliced(at, 1))
    case 5: {
      // The same length in more bytes than it needs.
      const head = field.subarray(1).findIndex(byte => byte < 0x80) + 1
      const last = (field[head] ?? 0) | 0x80
      const rest = field.subarray(head + 1)
      return Buffer.concat(fields.with(at, Buffer.concat([field.subarray(0, head), Buffer.of(last, 0), rest])))
    }
    case 6:
      return envelope({ ...parts, publicKey: Buffer.concat([publicKey, unknownField(dice)]) })
    default:
      return envelope({ ...parts, type: Buffer.concat([TYPE, dice.bytes(dice.below(3))]) })
  }
}

function unknownField(dice: Dice): Buffer {
  const number = dice.pick([4, 6, 7, 15])
  const length = dice.below(40)
  const [wireType, value] = dice.pick<[number, Buffer]>([
    [0, Buffer.of(dice.below(128))],
    [1, dice.bytes(8)],
    [2, Buffer.concat([Buffer.of(length), dice.bytes(length)])],
    [5, dice.bytes(4)],
  ])
  return Buffer.concat([Buffer.of((number << 3) | wireType), value])
}

function fieldsOf(bytes: Buffer): Buffer[] {
  const fields: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const low = bytes[at + 1] ?? 0
    const head = low < 0x80 ? 2 : 3
    const length = low < 0x80 ? low : (low & 0x7f) + ((bytes[at + 2] ?? 0) << 7)
    fields.push(bytes.subarray(at, at + head + length))
    at += head + length
  }
  return fields
}
