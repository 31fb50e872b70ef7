import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { type Answer, answers, failures, NOTHING, SSE_TYPE, toolCalls, usages } from '../support/answers.ts'
import { cut, factsOf, observeChunks } from '../support/observe.ts'

const everything = [...answers, ...usages, ...toolCalls, ...failures]
const bytesEach = (text: string) => [...Buffer.from(text)].map(byte => Buffer.of(byte))
const MIB = 1024 * 1024

/** One event of a chat in the model server's own words. */
const said = (text: string) =>
  `{"id":"chatcmpl-1","model":"mödell","choices":[{"index":0,"delta":{"content":"${text}"},"finish_reason":null}]}`
const OVER = '{"id":"chatcmpl-1","model":"mödell","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
const USAGE = '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
const EVENTS = [said('Grüße'), said(' 🙂'), OVER, USAGE, '[DONE]']
const SEEN = {
  ...NOTHING,
  completionId: 'chatcmpl-1',
  model: 'mödell',
  inputTokens: 3,
  outputTokens: 2,
  finishReason: 'stop',
}

suite('case 7, case 8: however events are set apart, and wherever they are torn', () => {
  const framings: [name: string, text: string][] = [
    ['LF', EVENTS.map(data => `data: ${data}\n\n`).join('')],
    ['CRLF', EVENTS.map(data => `data: ${data}\r\n\r\n`).join('')],
    ['CR', EVENTS.map(data => `data: ${data}\r\r`).join('')],
    ['no space after the colon', EVENTS.map(data => `data:${data}\n\n`).join('')],
    ['a byte order mark', `\ufeff${EVENTS.map(data => `data: ${data}\n\n`).join('')}`],
    [
      'names, ids, retry times and comments',
      `: ping\n\nretry: 3000\n\n${EVENTS.map((data, id) => `event: message\nid: ${id}\n: ping\ndata: ${data}\n\n: ping\n\n`).join('')}`,
    ],
    [
      'several data lines for each event',
      EVENTS.map(data => `data: ${data.replaceAll(',', ',\ndata: ')}\n\n`).join(''),
    ],
    [
      'several data lines with CRLF for each event',
      EVENTS.map(data => `data: ${data.replaceAll(',', ',\r\ndata: ')}\r\n\r\n`).join(''),
    ],
    ['single line ends between events', `${EVENTS.map(data => `data: ${data}`).join('\n')}\n`],
    ['no line end after the last', EVENTS.map(data => `data: ${data}`).join('\n\n')],
    ['empty data among them', EVENTS.map(data => `data\n\ndata:\n\ndata: \ndata:\n\ndata: ${data}\n\n`).join('')],
  ]
  for (const [name, text] of framings) {
    test(`${name}: in one chunk, and each byte in its own`, async () => {
      for (const chunks of [[Buffer.from(text)], bytesEach(text)]) {
        const { seen, received } = await observeChunks(chunks, { type: SSE_TYPE })
        assert.deepEqual(factsOf(seen), SEEN)
        assert.equal(received.toString(), text)
      }
    })
  }

  test('any way of tearing any answer tells the same', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...everything),
        fc.boolean(),
        fc.array(fc.nat(), { maxLength: 40 }),
        async ({ type, text, facts }: Answer, crlf, places) => {
          const bytes = Buffer.from(crlf ? text.replaceAll('\n', '\r\n') : text)
          const { seen, received } = await observeChunks(cut(bytes, places), { type })
          assert.deepEqual(factsOf(seen), facts)
          assert.deepEqual(received, bytes)
        },
      ),
      { numRuns: 300 },
    )
  })
})

suite('an event that is too large is left out, and the rest is read', () => {
  const huge = said('x'.repeat(2 * MIB))
  const framings: [name: string, text: string][] = [
    ['in one line', [said('a'), huge, OVER, USAGE].map(data => `data: ${data}\n\n`).join('')],
    [
      'in many lines',
      `data: ${said('a')}\n\n${'data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n'.repeat(60_000)}\ndata: ${OVER}\n\ndata: ${USAGE}\n\n`,
    ],
    ['as a comment', `data: ${said('a')}\n\n: ${'x'.repeat(2 * MIB)}\n\ndata: ${OVER}\n\ndata: ${USAGE}\n\n`],
  ]
  for (const [name, text] of framings) {
    for (const size of [64 * 1024, 3 * MIB]) {
      test(`${name}, chunks of ${size} bytes`, async () => {
        const bytes = Buffer.from(text)
        const places = Array.from({ length: Math.floor(bytes.length / size) }, (_, index) => (index + 1) * size)
        const { seen } = await observeChunks(cut(bytes, places), { type: SSE_TYPE })
        assert.deepEqual(factsOf(seen), { ...SEEN, result: 'partial' })
      })
    }
  }

  test('and what stands in its middle is no event, even where a chunk begins', async () => {
    const trap = Buffer.from('data: {"usage":{"prompt_tokens":99}}')
    const head = Buffer.from(`data: ${said('a')}\n\ndata: ${'x'.repeat(2 * MIB)}`)
    const tail = Buffer.from(`\n\ndata: ${OVER}\n\n`)
    const { seen } = await observeChunks([head, trap, trap, tail], { type: SSE_TYPE })
    assert.deepEqual([seen.result, seen.inputTokens], ['partial', undefined])
    const { seen: lines } = await observeChunks([head, trap.subarray(6), tail], { type: 'application/x-ndjson' })
    assert.equal(lines.inputTokens, undefined)
  })

  test('the bound is an option', async () => {
    const chunks = () => [Buffer.from(`data: ${said('a')}\n\ndata: ${said('b'.repeat(1000))}\n\ndata: ${OVER}\n\n`)]
    const { seen: strict } = await observeChunks(chunks(), { type: SSE_TYPE }, { maxBytes: 1000 })
    assert.equal(strict.result, 'partial')
    const { seen: lenient } = await observeChunks(chunks(), { type: SSE_TYPE }, { maxBytes: 2000 })
    assert.equal(lenient.result, 'complete')
  })

  test('a document that is too large is given up', async () => {
    const document = (length: number) => Buffer.from(`{"id":"a","choices":[{"text":"${'x'.repeat(length)}"}]}`)
    const { seen } = await observeChunks([document(MIB)], { type: 'application/json' })
    assert.deepEqual(factsOf(seen), { ...NOTHING, result: 'gave_up' })
    const { seen: fits } = await observeChunks([document(MIB - 100)], { type: 'application/json' })
    assert.equal(fits.completionId, 'a')
  })
})

suite('whatever comes', () => {
  const types = [SSE_TYPE, 'application/json', 'application/x-ndjson']
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc
      .constantFrom(
        'data:',
        'data: ',
        '\n',
        '\r',
        '\r\n\r\n',
        '[DONE]',
        '{',
        '}',
        '"usage":{',
        '[[[[',
        'event: error\n',
      )
      .map(text => Buffer.from(text)),
    fc.json().map(text => Buffer.from(`data: ${text}\n\n`)),
    fc.json().map(text => Buffer.from(`${text}\n`)),
    fc
      .record({
        id: fc.anything(),
        model: fc.anything(),
        choices: fc.oneof(fc.anything(), fc.array(fc.record({ delta: fc.anything(), logprobs: fc.anything() }))),
        usage: fc.anything(),
        message: fc.anything(),
        response: fc.anything(),
        type: fc.constantFrom('message_start', 'response.created', 'x', undefined),
        done: fc.anything(),
        token: fc.anything(),
        details: fc.anything(),
      })
      .map(value => Buffer.from(`data: ${jsonOf(value)}\n\n`)),
  )

  test('nothing is thrown, and the bytes are the same', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...types),
        fc.array(pieces, { maxLength: 30 }),
        fc.constantFrom(undefined, 'gzip', 'br', 'zstd', 'deflate', 'compress', 'gzip, br'),
        async (type, chunks, encoding) => {
          // observeChunks fails on what the observer reports as its own mistake.
          const { received } = await observeChunks(chunks, { type, encoding })
          assert.deepEqual(received, Buffer.concat(chunks))
        },
      ),
      { numRuns: 500 },
    )
  })

  test('brackets without end do not exhaust the stack', async () => {
    const deep = Buffer.from(`data: {"a":${'['.repeat(500_000)}\n\ndata: ${said('a')}\n\n`)
    const { seen } = await observeChunks([deep], { type: SSE_TYPE })
    assert.equal(seen.completionId, 'chatcmpl-1')
  })

  test('what would be telling cannot be written so that looking for it takes long', async () => {
    const head = `data: ${said('a')}\n\n`
    for (const part of ['"usage"', '"usage": ', '"type":"', '"error":[', `"type":"${'_call'.repeat(1000)}`]) {
      const line = part.repeat(Math.floor(MIB / 2 / part.length))
      const spaces = `${part}${' '.repeat(MIB / 2)}`
      const started = performance.now()
      await observeChunks([Buffer.from(`${head}data: ${line}\n\ndata: ${spaces}\n\n`)], { type: SSE_TYPE })
      assert.ok(performance.now() - started < 5_000, part)
    }
  })
})

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value, (_key, one) => (typeof one === 'bigint' ? Number(one) : one)) ?? ''
  } catch {
    return ''
  }
}
