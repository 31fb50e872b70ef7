import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { fieldNames } from '../../proxy/feedback/fields.ts'
import { readFeedback } from '../../proxy/feedback/reading.ts'
import { answering, ask, outcomes, shown, taken } from '../support/asking.ts'
import { dialects } from '../support/feedback-dialects.ts'
import { startTestSidecar } from '../support/sidecar.ts'

suite("other systems' feedback is taken as they send it", () => {
  for (const { system, body, query, kept, signal, evaluator } of dialects) {
    test(system, async () => {
      await using upstream = await answering(['chatcmpl-here'])
      await using sidecar = await startTestSidecar(upstream.url, { QIS_EVALUATOR_TOKEN: 'judge' })
      const { completionId } = await ask(sidecar)
      const put = (text: string) => text.replaceAll('$ID', completionId)
      const response = await fetch(`${sidecar.data}/qis/feedback${query ? `?${put(query)}` : ''}`, {
        method: 'POST',
        headers: evaluator ? { authorization: 'Bearer judge' } : {},
        body: put(JSON.stringify(body)),
      })
      const { feedback_id } = await taken(response)
      const feedback = await shown(sidecar, feedback_id)
      assert.partialDeepStrictEqual(feedback, { ...kept, state: 'kept' })
      for (const part of ['score', 'scores', 'correction', 'comment', 'tags']) {
        assert.equal(part in feedback, part in kept, `${part} was neither lost nor made up`)
      }
      assert.equal(feedback.signal, signal ?? null)
      assert.equal(feedback.source, evaluator ? 'evaluator' : 'user')
      assert.deepEqual(
        (await outcomes(sidecar)).map(outcome => outcome.signal),
        signal === undefined ? [] : [signal],
      )
    })
  }

  test('Langfuse, a batch of events', async () => {
    await using upstream = await answering(['chatcmpl-a', 'chatcmpl-b'])
    await using sidecar = await startTestSidecar(upstream.url)
    const ids = [(await ask(sidecar)).completionId, (await ask(sidecar)).completionId]
    const batch = ids.map((traceId, at) => ({
      id: `event-${at}`,
      type: 'score-create',
      timestamp: '2025-06-01T12:00:00Z',
      body: { traceId, name: 'quality', value: at, dataType: 'BOOLEAN' },
    }))
    const response = await fetch(`${sidecar.data}/qis/feedback`, {
      method: 'POST',
      body: JSON.stringify({ batch, metadata: { sdk_name: 'python' } }),
    })
    assert.equal(response.status, 207)
    const { results } = (await response.json()) as { results: { status: string }[] }
    assert.deepEqual(
      results.map(({ status }) => status),
      ['accepted', 'accepted'],
    )
    assert.deepEqual((await outcomes(sidecar)).map(({ signal }) => signal).sort(), [0, 1])
  })

  test('every field that is read is in the table of docs/feedback.md, and no other', async () => {
    const page = await readFile(join(import.meta.dirname, '../../docs/feedback.md'), 'utf8')
    const [, table = ''] = /^## What is said$(.*?)^## /ms.exec(page) ?? []
    const rows = table.split('\n').filter(line => line.startsWith('| `'))
    const names = rows.flatMap(row => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)])
    const fields = new Set(names.map(([, name]) => name))
    assert.deepEqual([...fields].sort(), [...fieldNames].sort())
  })
})

suite('fields that do not fit', () => {
  const target = { request_id: 'qis-1' }
  const bad: [string, object, string, string][] = [
    ['a rating and a thumb', { rating: 'up', thumbsUp: false }, 'contradiction', 'rating, thumbsUp'],
    ['a rating and a score', { rating: 'down', score: 0.9 }, 'contradiction', 'rating, score'],
    ['a rating and a value', { rating: 'down', value: 1 }, 'contradiction', 'rating, value'],
    ['a score and a value', { score: 0.2, value: 0.9 }, 'contradiction', 'score, value'],
    [
      'a thumb and a nested rating',
      { good_response: true, data: { rating: -1 } },
      'contradiction',
      'good_response, data.rating',
    ],
    ['two corrections', { correction: 'a', desired_response: 'b' }, 'contradiction', 'correction, desired_response'],
    ['two comments', { comment: 'a', content: 'b' }, 'contradiction', 'comment, content'],
    ['two metrics', { name: 'a', key: 'b', value: 1 }, 'contradiction', 'name, key'],
    [
      'two sources',
      { rating: 1, source: 'app', feedback_source: { type: 'model' } },
      'contradiction',
      'source, feedback_source.type',
    ],
    ['two answers', { inference_id: 'x', rating: 1 }, 'contradiction', 'request_id, inference_id'],
    ['taking back and saying anew', { rating: null, score: 1 }, 'contradiction', 'rating, score'],
    ['a value beyond its scale', { metric_name: 'stars', value: 4 }, 'invalid_field', 'value'],
    ['a value below it', { metric_name: 'stars', value: -1 }, 'invalid_field', 'value'],
    ['a boolean that is none', { name: 'a', value: 0.5, dataType: 'BOOLEAN' }, 'invalid_field', 'value'],
    ['a category nobody knows', { name: 'a', value: 'Berlin', dataType: 'CATEGORICAL' }, 'invalid_field', 'value'],
    ['a data type nobody knows', { name: 'a', value: 1, dataType: 'STARS' }, 'invalid_field', 'dataType'],
    ['a value that is a list', { value: [1] }, 'invalid_field', 'value'],
    ['a thumb as text', { thumbs_up: 'yes' }, 'invalid_field', 'thumbs_up'],
    ['a score that is no number', { score: 'NaN' }, 'invalid_field', 'score'],
    ['a dry run', { rating: 1, dryrun: true }, 'invalid_field', 'dryrun'],
    ['a whole episode', { rating: 1, episode_id: 'x' }, 'invalid_field', 'episode_id'],
    ['a nested rating out of range', { data: { details: { rating: 11 } } }, 'invalid_field', 'data.details.rating'],
    [
      'a correction with a field too many',
      { correction: { type: 'format', texts: 'x' } },
      'invalid_field',
      'correction.texts',
    ],
    ['a correction of nothing', { correction: {} }, 'invalid_field', 'correction'],
    ['a metric of 65 letters', { name: 'x'.repeat(65), value: 1 }, 'invalid_field', 'name'],
    ['another type than a rating', { type: 'arena', rating: 1 }, 'invalid_field', 'type'],
    ['a field of the object itself', { constructor: 1, rating: 1 }, 'invalid_field', 'constructor'],
    ['seventeen tags', { tags: Array.from({ length: 17 }, (_, at) => `t${at}`) }, 'invalid_field', 'tags'],
    ['only what says nothing', { user: 'me', metadata: {} }, 'invalid_field', 'rating'],
  ]
  for (const [name, body, code, field] of bad) {
    test(`${name}: refused, naming ${field}`, () => {
      assert.throws(() => readFeedback({ ...target, ...body }), { code, field })
      assert.throws(() => readFeedback({ ...target, ...body }, { at: '[3].' }), {
        code,
        field: field
          .split(', ')
          .map(path => `[3].${path}`)
          .join(', '),
      })
    })
  }

  test('fields that agree do not contradict each other', () => {
    const { saying, target: named } = readFeedback({
      completion_id: 'chatcmpl-1',
      inference_id: 'chatcmpl-1',
      rating: 'like',
      thumbsUp: true,
      good_response: true,
      score: 1,
      value: 1,
    })
    assert.deepEqual(saying, { rating: 'up', score: 1 })
    assert.deepEqual(named, { kind: 'completion', id: 'chatcmpl-1', path: 'completion_id' })
  })

  test('an id of ours is one in any field, and any other is the server’s', () => {
    const named = (body: object) => readFeedback({ ...body, rating: 1 }).target
    assert.partialDeepStrictEqual(named({ run_id: 'qis-0' }), { kind: 'request', id: 'qis-0' })
    assert.partialDeepStrictEqual(named({ trace_id: 'abc' }), { kind: 'completion', id: 'abc' })
    assert.partialDeepStrictEqual(named({ trace_id: 'abc', run_id: 'def' }), { kind: 'completion', id: 'def' })
  })
})
