import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Reliability } from '../../router/synthesis/reliability.ts'
import { until } from '../support/poll.ts'
import { chat, postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const QUESTION = 'How do I cancel my train ticket and get a refund?'

async function ask(run: TestSidecar, headers: Record<string, string> = {}) {
  const answer = await chat(run.data, QUESTION, headers)
  await answer.text()
  const told = answer.headers.get('x-qis-confidence')
  return { id: answer.headers.get('x-qis-request-id') ?? '', told: told === null ? undefined : Number(told) }
}

async function rate(run: TestSidecar, id: string, rating: 'up' | 'down', more: Record<string, unknown> = {}) {
  const response = await postFeedback(run.data, { request_id: id, rating, ...more })
  assert.equal(response.status, 202)
  return ((await response.json()) as { feedback_id: string }).feedback_id
}

async function reliability(run: TestSidecar) {
  const response = await fetch(`${run.admin}/qis/reliability`)
  return (await response.json()) as { all: Reliability; models: Record<string, Reliability> }
}

suite('calibration', () => {
  test('learns from what was told and what came of it, shows both, and survives a restart', async () => {
    await using upstream = await startUpstream()
    await using folder = await tempFolder()
    let before: Awaited<ReturnType<typeof reliability>>
    {
      await using run = await startTestSidecar(upstream.url, { QIS_DATA: folder.path })
      await rate(run, (await ask(run)).id, 'up')
      assert.equal((await reliability(run)).all.outcomes, 0, 'nothing was told of the first')
      const told: number[] = []
      for (const rating of ['up', 'up', 'down', 'up'] as const) {
        const asked = await ask(run, { 'x-qis-self-confidence': '0.9' })
        told.push(asked.told ?? Number.NaN)
        await rate(run, asked.id, rating)
      }
      before = await reliability(run)
      assert.equal(before.all.outcomes, 4)
      assert.deepEqual(Object.keys(before.models), ['m'])
      const mean = before.all.bins.reduce((sum, { count, predicted = 0 }) => sum + count * predicted, 0) / 4
      assert.ok(Math.abs(mean - told.reduce((sum, value) => sum + value, 0) / 4) < 0.03, `${mean} of ${told}`)
      assert.ok((before.all.brier.told ?? 0) > 0.05)
      const metrics = await (await fetch(`${run.admin}/metrics`)).text()
      assert.match(metrics, /^qis_brier_score\{of="told"\} 0\.\d+$/m)
      assert.match(metrics, /^qis_calibration_error\{of="posterior"\} 0\.\d+$/m)
      assert.equal(metrics.match(/^qis_reliability\{.*value="count"\} \d+$/gm)?.length, 10)
    }
    await using run = await startTestSidecar(upstream.url, { QIS_DATA: folder.path })
    assert.deepEqual(await reliability(run), before)
  })

  test("moves what is told, by this site's outcomes and by the own confidence", async () => {
    await using upstream = await startUpstream()
    await using run = await startTestSidecar(upstream.url)
    await rate(run, (await ask(run)).id, 'up')
    // Sure answers are good ones here, unsure ones bad.
    for (let count = 0; count < 40; count++) {
      const sure = count % 2 === 0
      const { id } = await ask(run, { 'x-qis-self-confidence': sure ? '0.95' : '0.6' })
      await rate(run, id, sure ? 'up' : 'down')
    }
    const { router } = run.sidecar
    assert.ok(router.calibrated('m', 0.5, 0.95) > router.calibrated('m', 0.5, 0.6) + 0.1)
    assert.equal(router.calibrated('another', 0.5, 0.95), 0.5)
    const asked = await ask(run, { 'x-qis-self-confidence': '0.95' })
    const feedback = await rate(run, asked.id, 'up')
    const view = (await (await fetch(`${run.admin}/qis/feedback/${feedback}`)).json()) as Record<string, number>
    assert.equal(view.self_confidence, 0.95)
    assert.ok(Math.abs((view.expected ?? 0) - (asked.told ?? 1)) < 0.05, `${view.expected} and ${asked.told}`)
  })

  test('takes the word of a person once, and no guess for the truth', async () => {
    await using upstream = await startUpstream()
    await using run = await startTestSidecar(upstream.url, { QIS_IMPLICIT: 'all' })
    await rate(run, (await ask(run)).id, 'up')
    upstream.mode = 'death-mid-stream'
    await ask(run).catch(() => undefined)
    await until('the rule to have guessed', async () => run.sidecar.router.status().evidence === 2)
    upstream.mode = 'ok'
    assert.equal((await reliability(run)).all.outcomes, 0)
    const { id } = await ask(run)
    for (const rating of ['down', 'up', 'down'] as const) await rate(run, id, rating)
    assert.equal((await reliability(run)).all.outcomes, 1)
  })
})
