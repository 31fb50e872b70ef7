/**
 * Keeps room for whoever comes next: when few places are free, the node lets go of the peers that it needs least, as
 * go-libp2p's connection manager does. Without it, who calls a node that everybody calls first would be turned away for
 * good. libp2p's own pruner ends none that has a stream, and gossipsub keeps one open with each.
 */
import { type Connection, KEEP_ALIVE, type Libp2p, type PeerId } from '@libp2p/interface'
import type { Logger } from '../telemetry.ts'
import { deadline } from './deadline.ts'
import type { NetworkEvent } from './events.ts'
import { isInbound, maxInbound } from './gate.ts'
import { GOSSIP_PROTOCOL } from './node.ts'
import type { RateLimit } from './rate-limit.ts'

export interface RoomComponents {
  node: Pick<Libp2p, 'getConnections' | 'peerStore'>
  /** Whether it would come back at once, so that nothing would be gained. */
  isKept(peer: PeerId): boolean
  /** Whether the node has more to do with it than to ask each other the way; such peers go last. */
  isUseful(peer: PeerId): boolean
  /** A token is taken of each that is let go. */
  turns: RateLimit
  count(event: NetworkEvent): void
  logger: Pick<Logger, 'debug'>
}

export interface RoomOptions {
  maxConnections: number
  /** Nobody is let go before: a newcomer is to be told where others are. */
  graceMs: number
}

/** Of the places, those that are to be free. */
const FREE_SHARE = 1 / 8
const LOOK_MS = 1_000
const CLOSE_MS = 1_000
/** A peer that has streams of others open is being asked something, or asks; who does for longer gains nothing by it. */
const BUSY_MS = 60_000
const IDLE_PROTOCOLS = [GOSSIP_PROTOCOL, '/ipfs/id/1.0.0', '/ipfs/id/push/1.0.0']

/** Returns how to end it. */
export function keepRoom(components: RoomComponents, options: RoomOptions): () => void {
  const { node, isKept, isUseful, turns, count, logger } = components
  const { maxConnections, graceMs } = options
  const free = Math.ceil(maxConnections * FREE_SHARE)
  let looking = false

  /** A peer that the node wants to stay connected to. */
  async function isWanted({ remotePeer }: Connection): Promise<boolean> {
    if (isKept(remotePeer)) return true
    const { tags } = await node.peerStore.get(remotePeer)
    return [...tags.keys()].some(tag => tag.startsWith(KEEP_ALIVE))
  }

  /** Those that may go, first who is of no use, and of these the youngest: who came last does not drive out who was there. */
  async function inTurn(open: readonly Connection[]): Promise<Connection[]> {
    const wanted = await Promise.all(open.map(connection => isWanted(connection).catch(() => false)))
    return open
      .filter((_, at) => !wanted[at])
      .map(connection => ({ connection, useful: isUseful(connection.remotePeer) }))
      .sort((a, b) => Number(a.useful) - Number(b.useful) || b.connection.timeline.open - a.connection.timeline.open)
      .map(({ connection }) => connection)
  }

  /** Whether it is told where others are, or asked something, just now. */
  function isBusy({ timeline, streams }: Connection): boolean {
    const age = Date.now() - timeline.open
    return age < graceMs || (age < BUSY_MS && streams.some(({ protocol }) => !IDLE_PROTOCOLS.includes(protocol)))
  }

  async function letGo(connection: Connection): Promise<void> {
    count('connection_trimmed')
    turns.take(connection.remotePeer.toString())
    try {
      await connection.close({ signal: deadline(CLOSE_MS) })
    } catch (error) {
      connection.abort(error instanceof Error ? error : new Error('the connection cannot be closed', { cause: error }))
    }
  }

  async function look(): Promise<void> {
    const open = node.getConnections().filter(({ status }) => status === 'open')
    let surplus = open.length + free - maxConnections
    let inboundSurplus = open.filter(isInbound).length + free - maxInbound(maxConnections)
    if (surplus <= 0 && inboundSurplus <= 0) return
    const going: Connection[] = []
    for (const connection of await inTurn(open)) {
      const inbound = isInbound(connection)
      if (surplus <= 0 && !(inbound && inboundSurplus > 0)) continue
      surplus -= 1
      if (inbound) inboundSurplus -= 1
      // until then its place is not free, and nobody goes in its stead
      if (!isBusy(connection)) going.push(connection)
    }
    await Promise.all(going.map(letGo))
  }

  const timer = setInterval(() => {
    if (looking) return
    looking = true
    look()
      .catch(error => logger.debug({ err: error }, 'no room could be made'))
      .finally(() => {
        looking = false
      })
  }, LOOK_MS).unref()
  return () => clearInterval(timer)
}
