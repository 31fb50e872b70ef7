/** Tells of callers that do not get through a handshake, and cuts those short that do not have the key of the swarm. */
import type { ConnectionProtector, MessageStream, MultiaddrConnection, StreamMessageEvent } from '@libp2p/interface'
import type { NetworkEvent } from './events.ts'
import type { Node } from './node.ts'
import { overhear } from './overhear.ts'

export interface Handshakes {
  /** The same protector, by which is seen whether what a caller says first was said with the key. */
  checked<Components>(
    createProtector: (components: Components) => ConnectionProtector,
  ): (components: Components) => ConnectionProtector
  /** From now on, callers of this node are counted. */
  follow(node: Node): void
}

/** What both sides open with, as multistream-select has it; with another key it is noise. */
const GREETING = Buffer.from('\u0013/multistream/1.0.0\n')

/** What libp2p has, and its types do not show. */
interface Internals {
  components: { upgrader: { upgradeInbound(connection: MultiaddrConnection, options: object): Promise<void> } }
}

/** Refused by the gate, which has counted it. */
const REFUSED = 'ConnectionInterceptedError'
/** Refused by libp2p: too many from that host, too many handshakes under way, or no room. */
const DENIED = 'ConnectionDeniedError'

export function createHandshakes(components: {
  count(event: NetworkEvent): void
  /** Called for each caller that does not have the key. */
  onStranger(connection: MultiaddrConnection): void
}): Handshakes {
  const { count, onStranger } = components
  const strangers = new WeakSet<object>()

  return {
    checked: createProtector => given => {
      const protector = createProtector(given)
      return {
        async protect(connection, options) {
          if (connection.direction !== 'inbound') return protector.protect(connection, options)
          const refuse = () => {
            strangers.add(connection)
            connection.abort(new Error('this caller does not have the key of the swarm'))
          }
          // who has no key at all greets in clear
          compare(connection, isGreeting => isGreeting && refuse())
          const secret = await protector.protect(connection, options)
          compare(secret, isGreeting => isGreeting || refuse())
          return secret
        },
      }
    },
    follow(node) {
      const { upgrader } = (node as unknown as Internals).components
      const upgradeInbound = upgrader.upgradeInbound.bind(upgrader)
      upgrader.upgradeInbound = async (connection, options) => {
        try {
          await upgradeInbound(connection, options)
        } catch (error) {
          const name = error instanceof Error ? error.name : undefined
          if (strangers.has(connection)) {
            count('handshake_key')
            onStranger(connection)
          } else if (name === DENIED) {
            count('connection_hasty')
          } else if (name !== REFUSED && node.status === 'started') {
            count('handshake_failed')
          }
          throw error
        }
      }
    },
  }
}

/** Calls back once, as soon as it is known whether what comes first is the greeting. */
function compare(stream: MessageStream, known: (isGreeting: boolean) => void): void {
  let heard = 0
  overhear(stream, 'message', event => {
    if (heard >= GREETING.length) return
    const { data } = event as StreamMessageEvent
    // a list of bytes throws where an array is cut short
    const bytes = data.subarray(0, Math.min(data.byteLength, GREETING.length - heard))
    const isSame = GREETING.subarray(heard, heard + bytes.length).equals(bytes)
    heard = isSame ? heard + bytes.length : GREETING.length
    if (heard === GREETING.length) known(isSame)
  })
}
