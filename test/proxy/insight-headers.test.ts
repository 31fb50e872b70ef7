import assert from 'node:assert/strict'
import { validateHeaderValue } from 'node:http'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { insightHeaders, readHints } from '../../proxy/insight-headers.ts'
import type { Insight } from '../../router/router.ts'

const insight: Insight = {
  posterior: 0.41,
  code: 'a3f7c9d1b2e40000',
  confidence: 0.734,
  adjustment: -0.118,
  grade: 'moderate',
  deviation: 0.2,
  weight: 2.5,
  packets: 7,
  peers: 3,
  prospect: { expected: 0.7, deviation: 0.1 },
}

suite('what we tell', () => {
  test('confidence, adjustment and evidence, in the documented spelling', () => {
    assert.deepEqual(insightHeaders({ requestId: 'qis-1', insight, debug: false }), {
      'x-qis-version': '1',
      'x-qis-request-id': 'qis-1',
      'x-qis-confidence': '0.73',
      'x-qis-adjustment': '-0.12',
      'x-qis-evidence': 'moderate',
    })
  })

  test('no confidence where there is no evidence', () => {
    const headers = insightHeaders({ requestId: 'qis-1', insight: { ...insight, grade: 'none' }, debug: false })
    assert.deepEqual(Object.keys(headers), ['x-qis-version', 'x-qis-request-id'])
  })

  test('more on request', () => {
    const headers = insightHeaders({ requestId: 'qis-1', insight, debug: true })
    assert.equal(headers['x-qis-fingerprint'], insight.code)
    assert.equal(headers['x-qis-cell'], 'a3')
    assert.equal(headers['x-qis-peers'], '3')
  })

  test('how the domain was found, on request', () => {
    const nearest = { name: 'law', similarity: 0.41234, threshold: 0.35 }
    const told = (debug: boolean) =>
      insightHeaders({ requestId: 'q', debug, domain: { name: 'law', source: 'examples', nearest } })
    assert.deepEqual(told(false), insightHeaders({ requestId: 'q', debug: false }))
    const { 'x-qis-domain': name, 'x-qis-domain-source': source, 'x-qis-domain-nearest': near } = told(true)
    assert.deepEqual([name, source, near], ['law', 'examples', 'law; similarity=0.412; threshold=0.350'])
    const said = insightHeaders({ requestId: 'q', debug: true, domain: { name: 'law', source: 'client' } })
    assert.equal(said['x-qis-domain-nearest'], undefined)
  })

  test('an adjustment has a sign, and none is minus zero', () => {
    const adjusted = (adjustment: number) =>
      insightHeaders({ requestId: 'q', insight: { ...insight, adjustment }, debug: false })['x-qis-adjustment']
    assert.deepEqual([0.3, 0, -0.001, 0.001, -0.3].map(adjusted), ['+0.30', '+0.00', '+0.00', '+0.00', '-0.30'])
  })
})

suite('what the client says', () => {
  test('is read when it makes sense', () => {
    assert.deepEqual(
      readHints({
        'x-qis-domain': 'Clinical.Oncology',
        'x-qis-strategy': 'rag.pubmed',
        'x-qis-self-confidence': '0.8',
        'x-qis-debug': 'true',
        'x-qis-opt-out': '1',
      }),
      {
        domain: 'clinical.oncology',
        strategy: 'rag.pubmed',
        selfConfidence: 0.8,
        debug: true,
        optOut: true,
        routeOnly: false,
      },
    )
  })

  test('case 24: counts as unsaid when it does not, and never leads to a header that cannot be sent', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const hints = readHints({ 'x-qis-domain': text, 'x-qis-strategy': text, 'x-qis-self-confidence': text })
        if (hints.domain !== undefined) assert.match(hints.domain, /^[a-z0-9][a-z0-9._-]{0,31}$/)
        if (hints.strategy !== undefined) validateHeaderValue('x', hints.strategy)
        assert.ok(hints.selfConfidence === undefined || (hints.selfConfidence >= 0 && hints.selfConfidence <= 1))
      }),
    )
    assert.deepEqual(readHints({ 'x-qis-domain': 'a\r\nb', 'x-qis-self-confidence': '7' }), {
      domain: undefined,
      strategy: undefined,
      selfConfidence: undefined,
      debug: false,
      optOut: false,
      routeOnly: false,
    })
  })
})
