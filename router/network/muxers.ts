/** Multiplexers with something added to each that is made. */
import { type MessageStream, type StreamMuxer, type StreamMuxerFactory, serviceCapabilities } from '@libp2p/interface'

type Creator<Components> = (components: Components) => StreamMuxerFactory

/** The same multiplexer, each of which is shown to `attend` with the connection that it is made for. */
export function attendedMuxer<Components>(
  createMuxer: Creator<Components>,
  attend: (muxer: StreamMuxer, connection: MessageStream) => void,
): Creator<Components> {
  return components => {
    const factory = createMuxer(components)
    return {
      protocol: factory.protocol,
      ...{ [serviceCapabilities]: ['@libp2p/stream-multiplexing'] },
      createStreamMuxer(connection) {
        const muxer = factory.createStreamMuxer(connection)
        attend(muxer, connection)
        return muxer
      },
    }
  }
}

/**
 * The same multiplexer, which throws nothing when it is given up. yamux tells the other end why; where that can no longer be
 * written, as when a peer asks for an answer and hangs up, nobody would catch the exception, and the process would end.
 */
export function enduring<Components>(createMuxer: Creator<Components>): Creator<Components> {
  return attendedMuxer(createMuxer, muxer => {
    const abort = muxer.abort.bind(muxer)
    muxer.abort = error => {
      try {
        abort(error)
      } catch {
        // its streams have ended before it comes to that
      }
    }
  })
}
