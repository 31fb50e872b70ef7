/** That a multiplexer ends quietly when the other end is gone. */
import { test } from 'node:test'
import { yamux } from '@chainsafe/libp2p-yamux'
import { streamPair } from '@libp2p/utils'
import { enduring } from '../../../router/network/muxers.ts'
import { until } from '../../support/poll.ts'

/** Version 0, type 2, flag SYN, stream 0, id 1; it is to be answered. */
const PING = Uint8Array.of(0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1)

// an exception that nobody catches fails it, as it would end the process
test('who asks for an answer that can no longer be written does no harm', async t => {
  const [ours, theirs] = await streamPair()
  t.after(() => ours.abort(new Error('the test is over')))
  const muxer = enduring(yamux())({}).createStreamMuxer(ours)
  await ours.close()
  theirs.send(PING)
  await until('it to be given up', () => muxer.status === 'closed' && ours.status === 'aborted')
})
