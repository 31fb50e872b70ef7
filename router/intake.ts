/** What happens to bytes that a peer sent: opened, screened, kept, counted by what came of them. */
import { type RoutingKey, routingKey } from './keyspace.ts'
import { packetId } from './network/checks.ts'
import type { NetworkHandlers, Verdict } from './network/network.ts'
import { expiresAt, openPacket, type Packet, PacketInvalidError } from './packet.ts'
import type { Store, StoredPacket } from './store/store.ts'
import type { Logger, RejectReason, RouterObserver } from './telemetry.ts'

export interface IntakeComponents {
  store: Pick<Store, 'putPacket'>
  logger: Logger
  observer: Pick<RouterObserver, 'packetReceived'>
  /** Unix seconds. */
  now(): number
  /** Whether packets that this peer has signed are wanted. */
  admits(author: string): boolean
  /** Told of what was accepted. */
  keep(stored: StoredPacket): void
  /** Told what became of each packet that a peer handed over. */
  handed(from: string, result: 'accepted' | RejectReason): void
}

const MAX_CLOCK_SKEW_S = 2 * 3600

/** Not a lie but a matter of clocks and lists: whoever sent it may be honest, and whose own are wrong must not shun everyone. */
const BLAMELESS: ReadonlySet<RejectReason> = new Set(['expired', 'from_future', 'not_member'])

/** Packets remembered by their bytes, so that a replay costs a hash and neither a signature check nor a write. */
const MAX_RECENT = 10_000

/** @param space the only one whose packets mean anything here */
export function createIntake(
  components: IntakeComponents,
  space: string,
  { maxRecent = MAX_RECENT } = {},
): NetworkHandlers['receive'] {
  const { store, logger, observer, now, admits, keep, handed } = components
  /** Keys and ids of what was kept or known already, oldest first. */
  const recent = new Set<string>()

  /** Cheap looks at a packet whose signature has not been checked yet. */
  const screen = (key: RoutingKey) => (packet: Packet) => {
    if (packet.space !== space) throw new ScreenedOut('other_space')
    if (keyOf(space, packet) !== key) throw new ScreenedOut('wrong_key')
    if (packet.time > now() + MAX_CLOCK_SKEW_S) throw new ScreenedOut('from_future')
    if (expiresAt(packet) <= now()) throw new ScreenedOut('expired')
  }

  async function judge(key: RoutingKey, bytes: Uint8Array): Promise<['accepted' | RejectReason, Verdict]> {
    const name = key + Buffer.from(packetId(bytes)).toString('latin1')
    if (recent.has(name)) return ['known', 'ignore']
    try {
      const stored: StoredPacket = { key, bytes, ...(await openPacket(bytes, screen(key))) }
      if (!admits(stored.author)) throw new ScreenedOut('not_member')
      const isNew = await store.putPacket(stored)
      addBounded(recent, name, maxRecent)
      if (!isNew) return ['known', 'ignore']
      keep(stored)
      return ['accepted', 'accept']
    } catch (error) {
      if (error instanceof PacketInvalidError) return [error.fault, 'reject']
      if (error instanceof ScreenedOut) return [error.reason, BLAMELESS.has(error.reason) ? 'ignore' : 'reject']
      logger.warn({ err: error }, 'a packet could not be kept')
      return ['store_failed', 'ignore']
    }
  }

  return async (key, bytes, from) => {
    const [result, verdict] = await judge(key, bytes)
    if (from !== undefined) handed(from, result)
    observer.packetReceived(result, bytes.length)
    return verdict
  }
}

function addBounded(set: Set<string>, item: string, most: number): void {
  set.add(item)
  const [oldest] = set
  if (set.size > most && oldest !== undefined) set.delete(oldest)
}

/** The key of an outcome's cell, which is the first two digits of its code. */
export function keyOf(space: string, { code, domain }: Pick<Packet, 'code' | 'domain'>): RoutingKey {
  return routingKey(space, domain, Number.parseInt(code.slice(0, 2), 16))
}

class ScreenedOut extends Error {
  readonly reason: RejectReason

  constructor(reason: RejectReason) {
    super(reason)
    this.reason = reason
  }
}
