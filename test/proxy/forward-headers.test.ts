import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { headersToClient, headersToUpstream, trailersToClient } from '../../proxy/forward-headers.ts'

const NOWHERE = (location: string) => location
const answer = (...list: string[]) => list.map(text => Buffer.from(text, 'latin1'))

suite('headers to the upstream', () => {
  test('keep their case, order and number', () => {
    const sent = ['X-Two', 'b', 'x-two', 'a', 'AUTHORIZATION', 'Bearer x', 'Content-Length', '12']
    assert.deepEqual(headersToUpstream(sent, undefined), sent)
  })

  test('lose ours, whatever their case, and those of the connection', () => {
    const sent = [
      'X-QIS-Domain',
      'a',
      'x-qis-anything',
      'b',
      'Host',
      'proxy',
      'TE',
      'trailers',
      'Expect',
      '100-continue',
      'Proxy-Authorization',
      'Basic d2U6dXM=',
    ]
    assert.deepEqual(headersToUpstream([...sent, 'Accept', 'c'], undefined), ['Accept', 'c'])
  })

  test('lose what Connection names', () => {
    const sent = ['Connection', 'close, X-Private', 'x-private', '1', 'x-public', '2']
    assert.deepEqual(headersToUpstream(sent, 'close, X-Private'), ['x-public', '2'])
  })
})

suite('headers to the client', () => {
  test('keep their case, order, number and bytes', () => {
    const list = ['Set-Cookie', 'a=1', 'X-B', 'caf\u00e9 \u00ff', 'set-cookie', 'b=2', 'Date', 'yesterday']
    assert.deepEqual(headersToClient(answer(...list), {}, NOWHERE).list, list)
  })

  test('any that are neither ours nor of the connection pass', () => {
    const name = fc.stringMatching(/^y-[a-zA-Z]{1,9}$/)
    const value = fc.stringMatching(/^[!-~\x80-\xff]{0,20}$/)
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), pairs => {
        const list = pairs.flat()
        assert.deepEqual(headersToClient(answer(...list), {}, NOWHERE).list, list)
        assert.deepEqual(headersToUpstream(list, 'keep-alive'), list)
      }),
    )
  })

  test('what begins as ours is ours alone, and Connection does not take it back', () => {
    const sent = answer('X-QIS-Version', '9', 'x-qis-other', 'o', 'connection', 'x-qis-version, x-a', 'x-a', '1')
    assert.deepEqual(headersToClient(sent, { 'x-qis-version': '1' }, NOWHERE).list, ['x-qis-version', '1'])
    assert.deepEqual(headersToClient(sent, {}, NOWHERE).list, [])
    assert.deepEqual(trailersToClient(answer('X-Qis-Receipt', 'r', 'X-Sum', '1')), [['X-Sum', '1']])
  })

  test('browsers may read ours where they may read anything, beside what they might read before', () => {
    const ours = { 'x-qis-version': '1', 'x-qis-receipt': 'r' }
    const exposed = (...list: string[]) => {
      const headers = headersToClient(answer(...list), ours, NOWHERE).list
      return headers[headers.findIndex(name => /^access-control-expose-headers$/i.test(name)) + 1]
    }
    const origin = ['Access-Control-Allow-Origin', '*']
    assert.equal(exposed(...origin), 'x-qis-version, x-qis-receipt')
    assert.equal(exposed('Access-Control-Expose-Headers', 'x-a', ...origin), 'x-a, x-qis-version, x-qis-receipt')
    assert.equal(exposed('Access-Control-Expose-Headers', 'x-a'), 'x-a')
  })

  test('the connection, and what it names, end here', () => {
    const list = answer('Keep-Alive', 'timeout=5', 'X-Private', '1', 'Connection', 'keep-alive, x-private', 'a', 'b')
    assert.deepEqual(headersToClient(list, {}, NOWHERE).list, ['a', 'b'])
  })

  test('a place to go is translated, type and encoding are told', () => {
    const headers = answer('Location', '/a', 'Content-Type', 'text/plain', 'Content-Encoding', 'gzip')
    const { list, type, encoding } = headersToClient(headers, {}, location => `${location}/b`)
    assert.deepEqual([list[1], type, encoding], ['/a/b', 'text/plain', 'gzip'])
  })
})
