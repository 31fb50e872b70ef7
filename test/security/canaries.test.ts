import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createMarkers, findMarkers } from '../canaries/markers.ts'
import { runCanaries } from '../canaries/run.ts'

/** Twice around all kinds of request; `npm run canaries` sends ten thousand. */
const REQUESTS = 130

test('half a marker is found alone and behind a whole one, but not in one and the letters behind it', () => {
  const ids = ['kthrhvgy', 'thrhvgys']
  const markers = createMarkers(undefined, () => ids.shift() ?? '')
  const [id, question] = [markers.make('completion id'), markers.make('question')]
  const kinds = (text: string) => findMarkers(Buffer.from(text), markers).map(({ kind, encoding }) => [kind, encoding])
  const half = question.slice(markers.stem.length)
  assert.deepEqual(kinds(`${id}s`), [['completion id', 'plain']])
  assert.deepEqual(kinds(`a ${half}`), [['question', 'half']])
  assert.deepEqual(kinds(id + half), [
    ['completion id', 'plain'],
    ['question', 'half'],
  ])
  assert.deepEqual(kinds(question), [['question', 'plain']])
})

test('a marker that was cut is what the field before it says, if one of that kind begins so', () => {
  const ids = ['prkwyggg', 'prkwyhhh', 'tttttttt']
  const markers = createMarkers(undefined, () => ids.shift() ?? '')
  const [credential] = [markers.make('credential'), markers.make('completion id'), markers.make('question')]
  const cut = credential.slice(0, -3)
  const kinds = (text: string) => findMarkers(Buffer.from(text), markers).map(({ kind }) => kind)
  assert.deepEqual(kinds(`chatcmpl-${cut}`), ['completion id'])
  assert.deepEqual(kinds(`Bearer ${cut}`), ['credential'], 'nothing says that it is another')
  assert.deepEqual(kinds(`chatcmpl-${credential}`), ['credential'], 'whole, it is what it is')
  assert.deepEqual(kinds(`chatcmpl-${markers.stem}ttttt`), ['question'], 'no completion id begins so')
  assert.deepEqual(kinds(`Bearer ${markers.stem}`), ['unknown'])
})

suite('canaries: what was put into requests stands nowhere but where the operator lets it', () => {
  for (const keepCorrections of [false, true]) {
    test(`with corrections ${keepCorrections ? 'kept' : 'not kept'}`, async () => {
      const result = await runCanaries({ requests: REQUESTS, keepCorrections })
      assert.deepEqual(result.outside.slice(0, 5), [])
      assert.deepEqual(result.planted.found, result.planted.of, 'the search finds what is there')
      assert.ok(result.packets > 0)
      assert.ok((result.allowed['domain in own traffic'] ?? 0) > 0, 'it looks at what really leaves')
      assert.ok((result.allowed['comment in own database'] ?? 0) > 0)
      assert.equal((result.allowed['correction in own database'] ?? 0) > 0, keepCorrections)
      const { 'packets to leave': waiting = 0, ...places } = result.bytes
      assert.ok(waiting >= 0)
      for (const [place, bytes] of Object.entries(places)) assert.ok(bytes > 500, `${place} was searched`)
    })
  }

  for (const profile of ['standard', 'clinical'] as const) {
    test(`under ${profile}, where no domain, model or strategy of a client's own making leaves or is counted`, async () => {
      const result = await runCanaries({ requests: REQUESTS, profile })
      assert.deepEqual(result.outside.slice(0, 5), [])
      assert.deepEqual(result.planted.found, result.planted.of, 'the search finds what is there')
      assert.ok(result.packets > 0)
      assert.ok((result.bytes['packets to leave'] ?? 0) > 100, 'it looks at what is to leave')
      for (const kind of ['domain', 'model', 'strategy']) {
        assert.ok((result.allowed[`${kind} in own database`] ?? 0) > 0, `a ${kind} is kept here`)
      }
    })
  }
})
