import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type Answer, answers, failures, NOTHING, SSE_TYPE, toolCalls, usages } from '../support/answers.ts'
import { factsOf, observeChunks } from '../support/observe.ts'

async function check({ type, text, facts }: Answer): Promise<void> {
  const { seen } = await observeChunks([Buffer.from(text)], { type })
  assert.deepEqual(factsOf(seen), facts)
}

suite('what is learnt from an answer', () => {
  for (const answer of answers) test(answer.name, () => check(answer))
})

suite('case 35: usage', () => {
  for (const answer of usages) test(answer.name, () => check(answer))
})

suite('case 36: tool calls are noticed, whatever state they are in', () => {
  for (const answer of toolCalls) test(answer.name, () => check(answer))
})

suite('what goes wrong', () => {
  for (const answer of failures) test(answer.name, () => check(answer))
})

suite('case 38: completion ids', () => {
  for (const id of ['chatcmpl-0', 'chatcmpl-998']) {
    test(`${id} is told as it is, although others have it too`, async () => {
      const text = `data: {"id":"${id}","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n`
      const { seen } = await observeChunks([Buffer.from(text)], { type: SSE_TYPE })
      assert.equal(seen.completionId, id)
    })
  }
})

suite('when tokens came', () => {
  const chunks = (text: string) => text.split(/(?<=\n\n)/).map(one => Buffer.from(one))

  test('a stream tells when its first and its last came, not its end', async () => {
    const said = (text: string, rest = '') =>
      `data: {"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"${text}"}${rest}}]}\n\n`
    let overAt = 0
    async function* stream() {
      for (const event of [': ping\n\n', said(''), said('a'), said('b'), said('', ',"finish_reason":"stop"')]) {
        yield Buffer.from(event)
        await turn()
      }
      overAt = performance.now()
      yield Buffer.from('data: {"choices":[],"usage":{"completion_tokens":2}}\n\ndata: [DONE]\n\n')
    }
    const before = performance.now()
    const { seen } = await observeChunks(stream(), { type: SSE_TYPE })
    const { firstTokenAt = 0, lastTokenAt = 0, endedAt } = seen
    assert.ok(lastTokenAt < endedAt)
    assert.ok(before < firstTokenAt && firstTokenAt < lastTokenAt && lastTokenAt <= overAt, JSON.stringify(seen))
  })

  test('reasoning counts as tokens', async () => {
    const text = 'data: {"id":"a","model":"m","choices":[{"index":0,"delta":{"reasoning":"hm"}}]}\n\n'
    const { seen } = await observeChunks(chunks(text), { type: SSE_TYPE })
    assert.notEqual(seen.firstTokenAt, undefined)
    assert.equal(seen.empty, true)
  })

  test('a document, which comes all at once, tells neither', async () => {
    const { seen } = await observeChunks([Buffer.from('{"choices":[{"text":"a"}]}')], { type: 'application/json' })
    assert.deepEqual([seen.firstTokenAt, seen.lastTokenAt], [undefined, undefined])
  })
})

test('JSON that is called by another name, and streams that are called JSON, are read all the same', async () => {
  const document = '{"id":"a","model":"m","choices":[{"text":"b"}]}'
  const line = '{"model":"m","response":"b","done":false}\n{"model":"m","response":"","done":true}\n'
  const expected = { ...NOTHING, completionId: 'a', model: 'm' }
  const cases: [type: string, text: string, facts: typeof NOTHING][] = [
    ['Application/JSON;charset=utf-8', document, expected],
    ['application/vnd.api+json', document, expected],
    ['application/problem+json', `\xef\xbb\xbf${document}`.replace('\xef\xbb\xbf', '\ufeff'), expected],
    ['application/json', `data: ${document}\n\ndata: [DONE]\n\n`, expected],
    ['application/json', line, { ...NOTHING, model: 'm' }],
    ['application/jsonl', line, { ...NOTHING, model: 'm' }],
    ['application/x-ndjson', line, { ...NOTHING, model: 'm' }],
  ]
  for (const [type, text, facts] of cases) {
    const { seen } = await observeChunks([Buffer.from(text)], { type })
    assert.deepEqual(factsOf(seen), facts, type)
  }
})
