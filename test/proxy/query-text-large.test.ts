import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { MAX_QUERY_CHARS, readQuery } from '../../proxy/query-text.ts'

const CHAT = '/v1/chat/completions'
const COMPLETIONS = '/v1/completions'
/** Of processor time, for each figure. */
const MEASURED_MS = 50
const QUESTION = 'Which antibiotic is the first choice in otitis media?'

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
    const asked = readQuery(CHAT, chat(`"begin ${'x\\n'.repeat(110_000)} end"`))?.text ?? ''
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
      // Time of this thread, since others may want the processor as well; told in coarse steps, hence many calls.
      const timeOf = (bytes: number) => {
        const made = body(bytes)
        const path = made.includes('"prompt"') ? COMPLETIONS : CHAT
        readQuery(path, made)
        const start = process.threadCpuUsage()
        for (let calls = 1; ; calls++) {
          readQuery(path, made)
          const { user, system } = process.threadCpuUsage(start)
          const spent = (user + system) / 1_000
          if (spent >= MEASURED_MS) return spent / calls
        }
      }
      // Four times the length: 4 when linear, 16 when quadratic.
      const attempts: string[] = []
      for (let attempt = 0; attempt < 5; attempt++) {
        const [small, large] = [timeOf(MB / 2), timeOf(2 * MB)]
        assert.ok(large < 2_000)
        // What grows with the square of the length does so every time; a slow moment of the machine passes.
        if (large < 10 * small) return
        attempts.push(`${small} ms, then ${large} ms`)
      }
      assert.fail(attempts.join('; '))
    })
  }
})
