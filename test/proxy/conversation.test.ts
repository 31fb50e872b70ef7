import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readConversation } from '../../proxy/query/conversation.ts'
import { readModel, replaceModel } from '../../proxy/query/model.ts'

suite('a conversation', () => {
  const cases: [name: string, body: string, opening: string | undefined, continued: boolean, routeOnly?: boolean][] = [
    [
      'begins with the first thing a user says',
      '{"messages":[{"role":"system","content":"s"},{"content":"a","role":"user"}]}',
      '"a"',
      false,
    ],
    [
      'goes on once a model has answered',
      '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}',
      '"a"',
      true,
    ],
    ['may be called input', '{"input":[{"role":"user","content":["a"]},{"role":"assistant"}]}', '["a"]', true],
    ['is none in a single prompt', '{"input":"a","prompt":"b"}', undefined, false],
    ['may be a dry run', '{"messages":["x",{}],"route_only":true}', undefined, false, true],
    ['is no dry run by another value', '{"route_only":"true"}', undefined, false],
    ['is none where there is no object', '[1]', undefined, false],
  ]
  for (const [name, body, opening, continued, routeOnly = false] of cases) {
    test(name, () => {
      const found = readConversation(Buffer.from(body))
      assert.deepEqual({ ...found, opening: found.opening?.toString() }, { opening, continued, routeOnly })
    })
  }
})

suite("a model's name", () => {
  test('is replaced where it counts: the last of several', () => {
    const body = '{"model":"a","x":{"model":"b"},"model": "c" }'
    assert.equal(String(replaceModel(Buffer.from(body), 'n"e')), '{"model":"a","x":{"model":"b"},"model": "n\\"e" }')
    assert.equal(readModel(replaceModel(Buffer.from(body), 'n"e')), 'n"e')
  })

  test('is left alone where there is none', () => {
    for (const body of ['{}', '{"model":7}', '[]', '{"model":"a"', '']) {
      const bytes = Buffer.from(body)
      assert.equal(replaceModel(bytes, 'b'), bytes)
    }
  })
})
