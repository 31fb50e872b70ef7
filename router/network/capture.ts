/** Shows an auditor every byte that a node exchanges with its peers, as it is before encryption and after decryption. */
import {
  type ConnectionEncrypter,
  type SecuredConnection,
  type StreamMessageEvent,
  serviceCapabilities,
} from '@libp2p/interface'

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
  return components => {
    const encrypter = createEncrypter(components)
    return {
      protocol: encrypter.protocol,
      // libp2p reads from here that the node has encryption
      ...{ [serviceCapabilities]: ['@libp2p/connection-encryption'] },
      secureInbound: async (connection, options) => tap(await encrypter.secureInbound(connection, options), capture),
      secureOutbound: async (connection, options) => tap(await encrypter.secureOutbound(connection, options), capture),
    }
  }
}

function tap<Extension>(secured: SecuredConnection<Extension>, capture: Capture): SecuredConnection<Extension> {
  const stream = secured.connection
  const send = stream.send.bind(stream)
  const dispatchEvent = stream.dispatchEvent.bind(stream)

  stream.send = data => {
    capture('out', Uint8Array.from(data.subarray()))
    return send(data)
  }
  // not a 'message' listener of our own: the first listener sets a stream flowing, and what came before the
  // multiplexer attached would be lost
  stream.dispatchEvent = event => {
    if (event.type === 'message') capture('in', Uint8Array.from((event as StreamMessageEvent).data.subarray()))
    return dispatchEvent(event)
  }
  return secured
}
