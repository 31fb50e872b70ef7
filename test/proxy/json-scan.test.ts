import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { decodeWithin, isString, JsonScan, stringIs } from '../../proxy/query/json-scan.ts'
import { jsonText } from '../support/json-text.ts'

/** Everything a document holds, found by the scanner alone. */
function read(bytes: Buffer): unknown {
  const scan = new JsonScan(bytes)
  const value = readNext(scan, bytes)
  scan.finish()
  return value
}

function readNext(scan: JsonScan, bytes: Buffer): unknown {
  if (scan.enter('[')) {
    const elements: unknown[] = []
    while (scan.nextElement()) elements.push(readNext(scan, bytes))
    return elements
  }
  if (scan.enter('{')) {
    // Names are asked for, never told, so the keys that the generator uses are tried in turn.
    const members: [string, unknown][] = []
    while (scan.nextMember()) members.push([KEYS.filter(key => scan.keyIs(key)).join(), readNext(scan, bytes)])
    return Object.fromEntries(members)
  }
  const span = scan.take()
  if (isString(bytes, span)) return decodeWithin(bytes, span, span.start + 1, span.end - 1)
  return JSON.parse(bytes.toString('utf8', span.start, span.end))
}

const KEYS = ['a', 'role', 'content', 'contents']
const documents = jsonText(KEYS)
const scanned = (text: string) => read(Buffer.from(text))

suite('the JSON scanner', () => {
  test('reads in every document what JSON.parse reads', () => {
    fc.assert(
      fc.property(documents, text => assert.deepEqual(scanned(text), JSON.parse(text))),
      { numRuns: 1_000 },
    )
  })

  test('takes a value as long as it is, whatever is in it', () => {
    fc.assert(
      fc.property(documents, fc.constantFrom('', ' ', '\r\n\t'), (text, space) => {
        const bytes = Buffer.from(`[0${space},${space}${text}${space},1]`)
        const scan = new JsonScan(bytes)
        assert.ok(scan.enter('[') && scan.nextElement())
        scan.skip()
        assert.ok(scan.nextElement())
        const { start, end } = scan.take()
        assert.equal(bytes.toString('utf8', start, end), text.trim())
        assert.ok(scan.nextElement())
        scan.skip()
        assert.equal(scan.nextElement(), false)
        scan.finish()
      }),
    )
  })

  test('finds every document that ends early at fault', () => {
    const container = documents.map(text => `{"a":[${text},"\\\\\\"é"]}`)
    fc.assert(
      fc.property(container, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (text, part) => {
        const bytes = Buffer.from(text)
        assert.throws(() => read(bytes.subarray(0, Math.floor(part * bytes.length))), SyntaxError)
      }),
    )
  })

  const faults = [
    ['', 'nothing'],
    ['  ', 'white space'],
    ['{', 'an open object'],
    ['{"a"', 'a key alone'],
    ['{"a":', 'a member without value'],
    ['{"a":}', 'a member with a bracket for a value'],
    ['{"a" 1}', 'a missing colon'],
    ['{"a":1,}', 'a trailing comma in an object'],
    ['[1,]', 'a trailing comma in an array'],
    ['[,1]', 'a leading comma'],
    ['[1 2]', 'a missing comma'],
    ['{a:1}', 'a bare key'],
    ['{1:1}', 'a number for a key'],
    ['"a', 'an open string'],
    ['"a\\"', 'a string that ends in an escape'],
    ['[1] 2', 'something behind the end'],
    ['["\\x"]', 'an escape that there is not'],
    ['["\\u12"]', 'an escape cut short'],
    ['["a\nb"]', 'a line break in a string'],
  ]
  for (const [text = '', name] of faults)
    test(`throws on ${name}`, () => assert.throws(() => scanned(text), SyntaxError))

  test('passes over a byte order mark, and no other bytes before the document', () => {
    assert.deepEqual(scanned('\ufeff{"a":1}'), { a: 1 })
    assert.throws(() => scanned('\ufeff\ufeff{"a":1}'), SyntaxError)
  })

  test('knows a name by its characters, however they are written', () => {
    const names: [json: string, is: boolean][] = [
      ['"role"', true],
      ['"\\u0072o\\u006Ce"', true],
      ['"roles"', false],
      ['"rol"', false],
      ['"rol\\u0065s"', false],
      ['"Role"', false],
      ['"\\\\ole"', false],
      ['role', false],
      ['""', false],
    ]
    for (const [json, expected] of names) {
      const bytes = Buffer.from(json)
      assert.equal(stringIs(bytes, { start: 0, end: bytes.length }, 'role'), expected, json)
    }
  })

  test('cuts a string between characters only, wherever it is told to', () => {
    const characters = fc.constantFrom('\\\\', '\\"', '\\n', '\\u0041', '\\ud83d', 'a', 'u', '1', 'é', '日', '😀')
    fc.assert(
      fc.property(fc.array(characters), fc.nat(), fc.nat(), (written, one, other) => {
        const bytes = Buffer.from(`"${written.join('')}"`)
        const [from = 0, to = 0] = [one, other].map(at => 1 + (at % (bytes.length - 1))).sort((a, b) => a - b)
        const begins = written.map((_, i) => 1 + Buffer.byteLength(written.slice(0, i).join('')))
        const within = written.filter((_, i) => Number(begins[i]) >= from && Number(begins[i]) < to)
        const string = { start: 0, end: bytes.length }
        assert.equal(decodeWithin(bytes, string, from, to), JSON.parse(`"${within.join('')}"`))
      }),
      { numRuns: 2_000 },
    )
  })

  test('nests as deep as the document does', () => {
    const depth = 1_000_000
    const scan = new JsonScan(Buffer.from('['.repeat(depth) + ']'.repeat(depth)))
    assert.equal(scan.take().end, 2 * depth)
    scan.finish()
  })
})
