/** An LLM server whose answer has no end in sight: all of it goes through a whole sidecar, and none of it stays there. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { startSidecar } from '../../demo/sidecar-process.ts'
import { until } from '../support/poll.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const MIB = 1024 * 1024
const POURED_BYTES = 1024 * MIB
/** Of resident memory, while a gigabyte goes by: buffers of sockets, and what the collector has not looked at yet. */
const GROWTH_BYTES = 160 * MIB
const BEGINNING = '{"id":"chatcmpl-endless","model":"m","choices":[{"index":0,"message":{"content":"'
/** Of a length that no buffer has, so that bytes that are lost or come twice are seen. */
const FILLING = Buffer.from('Once upon a time there was no end. \\"Grüße\\", it said; 🙂 '.repeat(1_009))

test('an answer that never closes its object passes unchanged, as fast as it is read, and is not kept', async () => {
  await using folder = await tempFolder()
  await using upstream = await startUpstream({
    handler: async ({ request, response }) => {
      await request.body
      response.writeHead(200, { 'content-type': 'application/json' }).write(BEGINNING)
      let poured = 0
      const pour = () => {
        for (let goesOn = true; goesOn && poured < POURED_BYTES; poured += FILLING.length)
          goesOn = response.write(FILLING)
        if (poured >= POURED_BYTES) response.end()
      }
      response.on('drain', pour)
      pour()
    },
  })
  await using sidecar = await startSidecar({
    QIS_UPSTREAM: upstream.url,
    QIS_DATA: join(folder.path, 'data'),
    QIS_MODE: 'off',
  })
  const metric = async (name: string) => {
    const page = await (await fetch(`${sidecar.admin}/metrics`)).text()
    return Number(
      page
        .split('\n')
        .find(line => line.startsWith(`${name} `))
        ?.slice(name.length) ?? 0,
    )
  }
  const memory = () => metric('process_resident_memory_bytes')
  const before = await memory()
  assert.ok(before > MIB)

  const asked = httpRequest(`${sidecar.data}/v1/chat/completions`, { method: 'POST', agent: false })
  asked.on('error', () => {})
  asked.end('{"model":"m","messages":[{"role":"user","content":"Tell me a story without end."}]}')
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  assert.equal(response.statusCode, 200)
  const expected = Buffer.concat([FILLING, FILLING, FILLING])
  let seen = 0
  let most = 0
  let lookAt = 0
  for await (const chunk of response) {
    for (let at = 0; at < chunk.length; ) {
      const place = seen - BEGINNING.length
      const whole = place < 0 ? Buffer.from(BEGINNING).subarray(seen) : expected.subarray(place % FILLING.length)
      const part = chunk.subarray(at, at + whole.length)
      if (!part.equals(whole.subarray(0, part.length))) assert.fail(`another byte within ${part.length} after ${seen}`)
      seen += part.length
      at += part.length
    }
    if (seen >= lookAt) {
      most = Math.max(most, await memory())
      lookAt += 64 * MIB
    }
  }
  assert.ok(response.complete && seen >= POURED_BYTES)
  assert.ok(most - before < GROWTH_BYTES, `${Math.round((most - before) / MIB)} MiB more`)

  await until('what came of observing it', () => metric('qis_observation_total{result="gave_up"}'))
})
