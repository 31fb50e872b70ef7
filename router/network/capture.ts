/** Shows an auditor every byte that a node exchanges with its peers, as it is before encryption and after decryption. */
import type { ConnectionEncrypter, MessageStream, StreamMessageEvent } from '@libp2p/interface'
import { overhear } from './overhear.ts'
import { attended } from './secured.ts'

/**
 * Receives the plaintext of all protocols (gossip, DHT, identify, backfill) with the multiplexer's framing; one call
 * is one write to, or one read from, the encrypted channel. The bytes are the callee's to keep. Must not throw.
 */
export type Capture = (direction: 'in' | 'out', bytes: Uint8Array) => void

/** The same encrypter, with all that passes above it shown to `capture`. */
export function captured<Components>(
  createEncrypter: (components: Components) => ConnectionEncrypter,
  capture: Capture,
): (components: Components) => ConnectionEncrypter {
  return attended(createEncrypter, ({ connection }) => tap(connection, capture))
}

function tap(stream: MessageStream, capture: Capture): void {
  const send = stream.send.bind(stream)
  stream.send = data => {
    capture('out', Uint8Array.from(data.subarray()))
    return send(data)
  }
  overhear(stream, 'message', event => capture('in', Uint8Array.from((event as StreamMessageEvent).data.subarray())))
}
