import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { carriesQuery, MAX_QUERY_CHARS, readQuery } from '../../proxy/query-text.ts'
import { array, jsonText, object, string, written } from '../support/json-text.ts'
import { parsedQuery } from '../support/parsed-query.ts'

const CHAT = '/v1/chat/completions'
const COMPLETIONS = '/v1/completions'
const RESPONSES = '/v1/responses'
const MESSAGES = '/v1/messages'
const OLLAMA_CHAT = '/api/chat'
const OLLAMA_GENERATE = '/api/generate'
const TGI = '/generate'
const TGI_STREAM = '/generate_stream'

const read = (body: unknown, url = CHAT) => readQuery(url, Buffer.from(JSON.stringify(body)))
const raw = (text: string, url = CHAT) => readQuery(url, Buffer.from(text))

const QUESTION = 'Which antibiotic is the first choice in otitis media?'
const OTHER = 'How long does a sprained ankle take to heal?'
const user = (content: unknown) => ({ role: 'user', content })
const assistant = (content: unknown) => ({ role: 'assistant', content })
const system = { role: 'system', content: 'You are a nurse.' }
const text = (words: string, type = 'text') => ({ type, text: words })
const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', text: 'no' } }
const result = (content: unknown) => ({ type: 'tool_result', tool_use_id: 't1', content })

suite('the question in a request', () => {
  const shapes: [name: string, url: string, body: unknown, question: string][] = [
    [
      'chat: the last user turn',
      CHAT,
      { messages: [system, user(OTHER), assistant('b'), user(` ${QUESTION}\n`)] },
      QUESTION,
    ],
    ['chat: what an assistant says last is none', CHAT, { messages: [user(QUESTION), assistant('b')] }, QUESTION],
    [
      'chat: text parts, an image between',
      CHAT,
      { messages: [user([text('what'), image, text('is it')])] },
      'what\nis it',
    ],
    ['chat: parts in the words of /v1/responses', CHAT, { messages: [user([text('a', 'input_text')])] }, 'a'],
    ['chat: bare strings among the parts', CHAT, { messages: [user(['a', 'b'])] }, 'a\nb'],
    ['chat: nothing in an image alone', CHAT, { messages: [user([image])] }, ''],
    [
      'chat: an image sent after its question',
      CHAT,
      { messages: [user(QUESTION), assistant('?'), user([image])] },
      QUESTION,
    ],
    ['chat: nothing without a user', CHAT, { messages: [system] }, ''],
    [
      'chat: a tool result is no question',
      CHAT,
      { messages: [user(QUESTION), assistant(null), { role: 'tool', tool_call_id: 'x', content: OTHER }] },
      QUESTION,
    ],
    ['completions: a prompt', COMPLETIONS, { prompt: 'p', suffix: 's' }, 'p'],
    ['completions: the first of several', COMPLETIONS, { prompt: ['p', 'q'] }, 'p'],
    ['completions: nothing in token ids', COMPLETIONS, { prompt: [1, 2, 3] }, ''],
    ['completions: nothing in lists of token ids', COMPLETIONS, { prompt: [[1, 2], [3]] }, ''],
    ['responses: a string', RESPONSES, { instructions: 'i', input: QUESTION }, QUESTION],
    [
      'responses: the last item of the user',
      RESPONSES,
      {
        instructions: 'i',
        input: [
          { type: 'message', role: 'developer', content: 'd' },
          {
            type: 'message',
            role: 'user',
            content: [text(QUESTION, 'input_text'), { type: 'input_image', image_url: 'x' }],
          },
          { type: 'message', role: 'assistant', content: [text('a', 'output_text')] },
          { type: 'function_call_output', call_id: 'c', output: OTHER },
        ],
      },
      QUESTION,
    ],
    [
      'messages: blocks',
      MESSAGES,
      { system: 's', messages: [user([{ type: 'image', source: {} }, text(QUESTION)])] },
      QUESTION,
    ],
    [
      'messages: tool results answer an earlier question',
      MESSAGES,
      { messages: [user(QUESTION), assistant([{ type: 'tool_use', input: { text: 'no' } }]), user([result(OTHER)])] },
      QUESTION,
    ],
    ['messages: text beside a tool result', MESSAGES, { messages: [user([result(OTHER), text(QUESTION)])] }, QUESTION],
    ['messages: a tool result where nothing else is', MESSAGES, { messages: [user([result(QUESTION)])] }, QUESTION],
    [
      'messages: blocks of a tool result',
      MESSAGES,
      { messages: [user([result([text(QUESTION), result('no')])])] },
      QUESTION,
    ],
    ['Ollama chat', OLLAMA_CHAT, { messages: [system, { ...user(QUESTION), images: ['iVBORw0KGgo='] }] }, QUESTION],
    ['Ollama generate', OLLAMA_GENERATE, { system: 's', prompt: QUESTION, context: [1, 2] }, QUESTION],
    ['TGI generate', TGI, { inputs: QUESTION, parameters: { inputs: 'no' } }, QUESTION],
    ['TGI generate_stream', TGI_STREAM, { inputs: QUESTION }, QUESTION],
  ]
  for (const [name, url, body, question] of shapes) test(name, () => assert.equal(read(body, url)?.text, question))

  test('the model is read as the client named it', () => {
    assert.equal(read({ model: 'meta-llama/Llama-3.1-8B', messages: [] })?.model, 'meta-llama/Llama-3.1-8B')
    assert.equal(read({ model: 3, messages: [] })?.model, '')
    assert.equal(read({ messages: [], metadata: { model: 'no' } })?.model, '')
  })

  test('code and other languages pass as they are', () => {
    for (const question of [
      'def f(x):\n\treturn "\\n" * x  # ✓',
      '小儿中耳炎的首选抗生素是什么?',
      'ما هو العلاج؟ 👩‍⚕️',
    ]) {
      assert.equal(read({ messages: [user(question)] })?.text, question)
    }
  })
})

suite('a follow-up', () => {
  const asked = (...turns: unknown[]) =>
    read({ messages: turns.flatMap(turn => [user(turn), assistant('Yes.')]) })?.text

  test('that is short comes with the turn before it', () => {
    assert.equal(asked(OTHER, QUESTION, 'and in children?'), `${QUESTION}\nand in children?`)
    assert.equal(
      asked(QUESTION, 'Contraindications, interactions, alternatives?'),
      `${QUESTION}\nContraindications, interactions, alternatives?`,
    )
    assert.equal(asked(QUESTION, '儿童呢？'), `${QUESTION}\n儿童呢？`)
  })

  test('that says enough stands alone', () => {
    assert.equal(asked(OTHER, QUESTION), QUESTION)
    assert.equal(asked(OTHER, '小儿中耳炎的首选抗生素是什么'), '小儿中耳炎的首选抗生素是什么')
    const link = `https://example.org/${'x'.repeat(200)}`
    assert.equal(asked(OTHER, link), link)
  })

  test('comes with as many turns as it takes', () => {
    assert.equal(
      asked(OTHER, QUESTION, 'why?', 'ok', [image], ' ', 'and in adults?'),
      `${QUESTION}\nwhy?\nok\nand in adults?`,
    )
  })

  test('stays whole behind a very long turn', () => {
    const followed = asked(`begin ${'long '.repeat(50_000)}`, 'and in children?') ?? ''
    assert.ok(followed.startsWith('begin long') && followed.endsWith('long\nand in children?'))
    assert.ok(followed.length <= MAX_QUERY_CHARS + 1)
  })
})

suite('a path', () => {
  const carrying: [url: string, model: string][] = [
    [`${CHAT}?api-version=1`, 'm'],
    [`${CHAT}/`, 'm'],
    [`${CHAT}//?a=/`, 'm'],
    ['/openai/v1/chat/completions', 'm'],
    ['/api/openai/v1/chat/completions/?x', 'm'],
    ['/chat/completions', 'm'],
    ['/ollama/api/chat', 'm'],
    ['/anthropic/v1/messages', 'm'],
    ['/openai/deployments/gpt-4o%20mini/chat/completions?api-version=2024-10-21', 'gpt-4o mini'],
    ['/openai/deployments/%zz/chat/completions', '%zz'],
  ]
  for (const [url, model] of carrying) {
    test(`carries a question: ${url}`, () => {
      assert.equal(carriesQuery(url), true)
      assert.deepEqual(read({ model: 'm', messages: [user(QUESTION)] }, url), { text: QUESTION, model })
    })
  }

  test('under a prefix is read in its own shape', () => {
    assert.equal(read({ prompt: 'p' }, '/openai/deployments/d/completions')?.text, 'p')
    assert.equal(read({ prompt: 'p' }, '/ollama/api/generate')?.text, 'p')
    assert.equal(read({ inputs: 'p' }, '/tgi/generate_stream/')?.text, 'p')
    assert.equal(read({ input: 'p' }, '/openai/responses?api-version=preview')?.text, 'p')
  })

  const others = [
    '/',
    '',
    '/tokenize',
    '/rerank',
    '/v1/score',
    '/v1/embeddings',
    '/v1/models',
    '/v1/images/generations',
    '/v1/responses/resp_1/cancel',
    '/v1/messages/count_tokens',
    '/v1/threads/thread_1/messages',
    '/v1/xcompletions',
    '/files?path=/v1/chat/completions',
  ]
  test('of another kind carries none', () => {
    for (const url of others) {
      assert.equal(carriesQuery(url), false, url)
      assert.equal(read({ messages: [user(QUESTION)], prompt: QUESTION, input: QUESTION }, url), undefined, url)
    }
  })
})

suite('any JSON', () => {
  const anything = jsonText(['role', 'content', 'text', 'type', 'model'])
  const member = (key: string, value: fc.Arbitrary<string>) => fc.tuple(written(fc.constant(key)), value)
  const one = (...values: string[]) => written(fc.constantFrom(...values))
  const parts = (inner: fc.Arbitrary<string>) =>
    array(
      fc.oneof(
        string,
        anything,
        object([
          member('type', one('text', 'text', 'input_text', 'tool_result', 'image_url')),
          member('text', fc.oneof(string, anything)),
          member('content', inner),
        ]),
      ),
    )
  const content = fc.oneof(string, parts(fc.oneof(string, parts(string))), anything)
  const message = object([
    member('role', one('user', 'user', 'user', 'users', 'assistant', 'system')),
    member('content', content),
    member('name', anything),
  ])
  const value = fc.oneof(string, array(message), array(message), array(string), anything)
  const fields = ['messages', 'prompt', 'input', 'inputs'].map(key => member(key, value))
  const body = fc.oneof(
    { weight: 9, arbitrary: object([...fields, member('model', string), member('x', anything)]) },
    { weight: 1, arbitrary: anything },
  )
  const urls: [url: string, field: string][] = [
    [CHAT, 'messages'],
    [COMPLETIONS, 'prompt'],
    [RESPONSES, 'input'],
    [MESSAGES, 'messages'],
    [TGI, 'inputs'],
  ]

  test('is read as JSON.parse would read it', () => {
    let questions = 0
    fc.assert(
      fc.property(body, fc.constantFrom(...urls), fc.boolean(), (json, [url, field], mark) => {
        const bytes = Buffer.from(mark ? `\ufeff ${json}\n` : json)
        const query = readQuery(url, bytes)
        assert.deepEqual(query, parsedQuery(field, bytes))
        if (query?.text) questions++
      }),
      { numRuns: 3_000 },
    )
    assert.ok(questions > 300, `only ${questions} had a question`)
  })

  test('is cut as the whole text would be, whatever stands at the edges', () => {
    const unit = fc.constantFrom('\\\\', '\\"', '\\n', '\\u0001', '\\ud83d', ' ', 'a', 'é', '日', '😀')
    const long = fc
      .tuple(fc.array(unit, { minLength: 1, maxLength: 9 }), fc.integer({ min: 1_000, max: 20_000 }))
      .map(([units, times]) => `"${`?${units.join('')}`.repeat(times)}"`)
    const longParts = fc
      .array(long, { maxLength: 4 })
      .map(texts => `[${texts.map(json => `{"type":"text","text":${json}}`)}]`)
    fc.assert(
      fc.property(fc.oneof(long, longParts), json => {
        const bytes = Buffer.from(`{"messages":[{"role":"user","content":${json}}]}`)
        assert.deepEqual(readQuery(CHAT, bytes), parsedQuery('messages', bytes))
      }),
      { numRuns: 200 },
    )
  })

  test('hard case 25: odd bodies are read or left, and never thrown over', () => {
    const odd =
      '"structured_outputs":{"json":"}]"},"seed":12345678901234567890,"top_p":1.0,"min_p":-0.0,"vllm_xargs":[[],{}],"stop":["\\"","\\\\"]'
    const asked = (messages: string) => raw(`{${odd},${messages},"chat_template_kwargs":{"messages":[]}}`)?.text
    assert.equal(asked('"messages":[{"content":"p","role":"user"}]'), 'p')
    assert.equal(asked('"messages":[{"role":"user","content":"p","content":"q"}]'), 'q')
    assert.equal(asked('"messages":[{"role":"user","content":"p"}],"messages":[{"role":"user","content":"q"}]'), 'q')
    assert.equal(asked('"messages":[{"role":"user","content":"p"}],"messages":0'), '')
    assert.equal(asked('"\\u006dessages":[{"r\\u006fle":"us\\u0065r","content":"\\u0070\\ud83d\\ude00"}]'), 'p😀')
    assert.equal(asked('"messages":[{"role":"user","content":"a\\ud83d"}]'), 'a\ufffd')
    const binary = Buffer.from('{"messages":[{"role":"user","content":"\x80a\xff"}]}', 'latin1')
    assert.equal(readQuery(CHAT, binary)?.text, '\ufffda\ufffd')
    for (const broken of [
      '',
      '{',
      'null',
      '[]',
      '"a"',
      '{"messages":[{"role":"user","content":"a"}',
      '{"messages":[]}}',
      '\ufeff',
    ]) {
      assert.equal(raw(broken), undefined, broken)
    }
    assert.equal(raw('{"messages":[{"role":"user","content":"\\x"}]}'), undefined)
    assert.equal(readQuery(CHAT, Buffer.from('{"messages":[]}', 'utf16le')), undefined)
  })

  test('hard case 25: bytes that were changed at random are read or left', () => {
    fc.assert(
      fc.property(body, fc.nat(), fc.nat(255), fc.constantFrom(...urls), (json, at, byte, [url, field]) => {
        const bytes = Buffer.from(json)
        bytes[at % bytes.length] = byte
        const query = readQuery(url, bytes)
        const parsed = parsedQuery(field, bytes)
        if (parsed) assert.deepEqual(query, parsed)
      }),
      { numRuns: 2_000 },
    )
    fc.assert(fc.property(fc.uint8Array(), bytes => void readQuery(CHAT, Buffer.from(bytes))))
  })
})

suite('hard case 26: a large body', () => {
  const MB = 1024 * 1024
  const chat = (content: string) => Buffer.from(`{"model":"m","messages":[{"role":"user","content":${content}}]}`)
  const question = `{"type":"text","text":"${QUESTION}"}`
  const picture = (bytes: number) =>
    `{"type":"image_url","image_url":{"url":"data:image/png;base64,${'iVBO'.repeat(bytes / 4)}"}}`

  for (const [place, parts] of [
    ['before', (bytes: number) => `[${picture(bytes)},${question}]`],
    ['behind', (bytes: number) => `[${question},${picture(bytes)}]`],
  ] as const) {
    test(`of 20 MB with an image ${place} the question takes no more steps than one of 5 MB, and no memory`, context => {
      const searches = [5 * MB, 20 * MB].map(bytes => {
        const body = chat(parts(bytes))
        const search = context.mock.method(body, 'indexOf')
        const before = process.memoryUsage()
        assert.deepEqual(readQuery(CHAT, body), { text: QUESTION, model: 'm' })
        const after = process.memoryUsage()
        assert.ok(after.external + after.heapUsed - before.external - before.heapUsed < MB)
        return search.mock.callCount()
      })
      assert.equal(searches[0], searches[1])
      assert.ok(Number(searches[1]) < 20)
    })
  }

  test('of 220 KB keeps both its ends', () => {
    const asked = raw(`{"messages":[{"role":"user","content":"begin ${'x\\n'.repeat(110_000)} end"}]}`)?.text ?? ''
    assert.ok(asked.startsWith('begin x\nx') && asked.endsWith('x\n end'))
    assert.equal(asked.length, MAX_QUERY_CHARS + 1)
  })

  const repeated = (unit: string) => (bytes: number) => unit.repeat(bytes / unit.length)
  const list = (unit: string) => (bytes: number) => `[${Array(Math.floor(bytes / unit.length)).fill(unit)}]`
  const hostile: [name: string, body: (bytes: number) => Buffer][] = [
    ['escaped quotes', bytes => chat(`"${repeated('\\"')(bytes)}"`)],
    ['backslashes', bytes => chat(`"${repeated('\\\\')(bytes)}"`)],
    ['escaped quotes far apart', bytes => chat(`"${repeated(`${'a'.repeat(40)}\\"`)(bytes)}"`)],
    ['backslashes in every part', bytes => chat(list(`{"type":"text","text":"${'\\\\'.repeat(100)}"}`)(bytes))],
    ['brackets', bytes => chat(repeated('[')(bytes))],
    ['deep objects', bytes => chat(repeated('{"a":')(bytes))],
    ['white space', bytes => chat(`${repeated(' ')(bytes)}"a"`)],
    ['token ids', bytes => Buffer.from(`{"prompt":${list('50256')(bytes)}}`)],
    ['empty texts', bytes => chat(list('{"type":"text","text":""}')(bytes))],
    ['short texts', bytes => chat(list('{"type":"text","text":"a"}')(bytes))],
    ['blank turns', bytes => Buffer.from(`{"messages":${list('{"role":"user","content":" "}')(bytes)}}`)],
    ['turns without words', bytes => Buffer.from(`{"messages":${list('{"role":"user","content":"?!"}')(bytes)}}`)],
    ['tool results', bytes => chat(list('{"type":"tool_result","content":["?"]}')(bytes))],
    ['the same member again', bytes => Buffer.from(`{${repeated(`"messages":["a"],`)(bytes)}"messages":[]}`)],
  ]
  for (const [name, body] of hostile) {
    test(`costs in proportion to its length, made of ${name}`, () => {
      const least = (bytes: number) => {
        const made = body(bytes)
        const times = Array.from({ length: 5 }, () => {
          const start = performance.now()
          readQuery(made.includes('"prompt"') ? COMPLETIONS : CHAT, made)
          return performance.now() - start
        })
        return Math.min(...times)
      }
      // Four times the length: 4 when linear, 16 when quadratic. What takes no time at all is not compared.
      least(MB / 4)
      const small = Math.max(least(MB / 2), 0.2)
      const large = least(2 * MB)
      assert.ok(large < 10 * small, `${small} ms, then ${large} ms`)
      assert.ok(large < 2_000)
    })
  }
})
