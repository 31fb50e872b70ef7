import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { carriesQuery, MAX_QUERY_CHARS, readQuery } from '../../proxy/query-text.ts'

const CHAT = '/v1/chat/completions'
const read = (body: unknown, url = CHAT) => readQuery(url, Buffer.from(JSON.stringify(body)))

suite('the question in a request', () => {
  const shapes: [string, string, unknown, string][] = [
    [
      'the last user turn',
      CHAT,
      {
        messages: [
          { role: 'system', content: 's' },
          { role: 'user', content: 'a' },
          { role: 'assistant', content: 'b' },
          { role: 'user', content: ' c ' },
        ],
      },
      'c',
    ],
    [
      'text parts only',
      CHAT,
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'image_url', image_url: {} },
              { type: 'text', text: 'what' },
              { type: 'text', text: 'is it' },
            ],
          },
        ],
      },
      'what\nis it',
    ],
    ['nothing in an image alone', CHAT, { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, ''],
    ['nothing without a user', CHAT, { messages: [{ role: 'system', content: 's' }] }, ''],
    ['a prompt', '/v1/completions', { prompt: 'p' }, 'p'],
    ['the first of several prompts', '/v1/completions', { prompt: ['p', 'q'] }, 'p'],
    ['nothing in token ids', '/v1/completions', { prompt: [1, 2, 3] }, ''],
    [
      'with a query string behind the path',
      `${CHAT}?api-version=1`,
      { messages: [{ role: 'user', content: 'a' }] },
      'a',
    ],
  ]
  for (const [name, url, body, text] of shapes) test(name, () => assert.equal(read(body, url)?.text, text))

  test('the model is read as the client named it', () => {
    assert.equal(read({ model: 'llama3', messages: [] })?.model, 'llama3')
    assert.equal(read({ model: 3, messages: [] })?.model, '')
  })

  test('a long question keeps both its ends', () => {
    const content = `begin ${'x'.repeat(2 * MAX_QUERY_CHARS)} end`
    const text = read({ messages: [{ role: 'user', content }] })?.text ?? ''
    assert.ok(text.startsWith('begin') && text.endsWith('end') && text.length <= MAX_QUERY_CHARS + 1)
  })

  test('other paths carry none', () => {
    assert.equal(carriesQuery('/v1/embeddings'), false)
    assert.equal(read({ messages: [{ role: 'user', content: 'a' }] }, '/v1/embeddings'), undefined)
  })

  test('no JSON whatever makes it throw', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.record({ messages: fc.jsonValue(), prompt: fc.jsonValue(), model: fc.jsonValue() }),
    )
    fc.assert(
      fc.property(value, fc.constantFrom(CHAT, '/v1/completions'), (body, url) => {
        const query = read(body, url)
        assert.ok(query === undefined || typeof query.text === 'string')
      }),
    )
    fc.assert(fc.property(fc.uint8Array(), bytes => void readQuery(CHAT, Buffer.from(bytes))))
  })
})
