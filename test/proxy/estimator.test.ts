import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chat, postFeedback, startTestSidecar } from '../support/sidecar.ts'
import { startUpstream } from '../support/upstream.ts'

test('QIS_ESTIMATOR chooses how outcomes are weighed', async () => {
  await using upstream = await startUpstream()
  const told = async (settings: Record<string, string>) => {
    await using run = await startTestSidecar(upstream.url, settings)
    const ask = async () => {
      const answer = await chat(run.data, 'What is the capital of France?')
      await answer.text()
      return answer.headers
    }
    const receipt = (await ask()).get('x-qis-receipt')
    assert.equal((await postFeedback(run.data, { receipt, rating: 'up' })).status, 202)
    const headers = await ask()
    return [headers.get('x-qis-confidence'), headers.get('x-qis-adjustment')]
  }
  // 0.7 · 0.5 + 0.3 · 1 is 0.65, and all of its distance from 0.5 is called an adjustment there.
  assert.deepEqual(await told({ QIS_ESTIMATOR: 'seed' }), ['0.65', '+0.15'])
  const [confidence, adjustment] = await told({})
  assert.notEqual(confidence, '0.65')
  assert.equal(adjustment, '+0.00')
})
