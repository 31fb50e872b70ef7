/** Many nodes in one process, with no sockets: the same contract as the real network, for tests and simulations. */
import type { RoutingKey } from '../keyspace.ts'
import type { Logger } from '../telemetry.ts'
import { frame, isFrame, packetId } from './checks.ts'
import { createJudge, type Judge } from './judge.ts'
import { type Connected, type Network, type NetworkHandlers, NetworkStartError } from './network.ts'
import { createReputation, type Reputation } from './reputation.ts'

export interface MemorySwarm {
  createNetwork(options?: MemoryNetworkOptions): Network
}

export interface MemoryNetworkOptions {
  /** How others know this node; `memory-1` and so on unless given. */
  id?: string
  /** Ids of those with whom to connect at all; everybody unless given. */
  members?: readonly string[]
}

interface Member {
  readonly id: string
  /** When it started, Unix seconds. */
  since: number
  readonly joined: Set<RoutingKey>
  readonly reputation: Reputation
  readonly admit: (peer: string) => boolean
  /** Ids of packets sent or received lately. */
  readonly seen: Set<string>
  judge: Judge<Member>['judge']
  list: NetworkHandlers['list']
}

const PAGE_SIZE = 64
const MAX_BACKFILL = 1_000
const HOLDERS = 3
const MAX_SEEN = 10_000

export function createMemorySwarm(components: { logger?: Logger } = {}): MemorySwarm {
  const logger = components.logger ?? { debug() {}, info() {}, warn() {} }
  /** Those that run. */
  const members = new Set<Member>()
  let count = 0

  const connected = (a: Member, b: Member) =>
    a !== b && a.admit(b.id) && b.admit(a.id) && !a.reputation.shunned(b.id) && !b.reputation.shunned(a.id)

  const peersOf = (member: Member) => [...members].filter(other => connected(member, other))
  const subscribers = (member: Member, key: RoutingKey) => peersOf(member).filter(other => other.joined.has(key))

  /** False when the packet was seen before. */
  function remember(member: Member, bytes: Uint8Array): boolean {
    const id = Buffer.from(packetId(bytes)).toString('latin1')
    if (member.seen.has(id)) return false
    member.seen.add(id)
    if (member.seen.size > MAX_SEEN) {
      for (const oldest of member.seen) {
        member.seen.delete(oldest)
        break
      }
    }
    return true
  }

  /** Hands the packet to every subscriber but those in `except`, later. Returns to how many. */
  function spread(from: Member, key: RoutingKey, bytes: Uint8Array, except?: Member): number {
    const recipients = subscribers(from, key).filter(member => member !== except)
    for (const to of recipients) setImmediate(() => void deliver(from, to, key, new Uint8Array(bytes)))
    return recipients.length
  }

  async function deliver(from: Member, to: Member, key: RoutingKey, bytes: Uint8Array): Promise<void> {
    if (!members.has(to) || !to.joined.has(key) || to.reputation.shunned(from.id) || !remember(to, bytes)) return
    const verdict = await to.judge(from, key, new Uint8Array(bytes))
    if (verdict === 'accept' && members.has(to)) spread(to, key, bytes, from)
  }

  /** Gives `to` what `from` lists, except what is in `given` already. */
  async function fill(to: Member, from: Member, key: RoutingKey, given: Set<string>, signal?: AbortSignal) {
    for (let offset = 0; offset < MAX_BACKFILL; offset += PAGE_SIZE) {
      const limit = Math.min(PAGE_SIZE, MAX_BACKFILL - offset)
      const page = (await from.list(key, { offset, limit })).slice(0, limit)
      for (const bytes of page.filter(isFrame)) {
        if (signal?.aborted || !members.has(to) || !connected(to, from)) return
        const id = Buffer.from(packetId(bytes)).toString('latin1')
        if (given.has(id)) continue
        given.add(id)
        await to.judge(from, key, new Uint8Array(bytes))
      }
      if (page.length < limit) return
    }
  }

  /** A newcomer and those who were there fill each other. */
  async function greet(newcomer: Member, key: RoutingKey): Promise<void> {
    for (const other of subscribers(newcomer, key).slice(0, HOLDERS)) {
      await fill(newcomer, other, key, new Set())
      await fill(other, newcomer, key, new Set())
    }
  }

  return {
    createNetwork(options = {}) {
      count += 1
      const member: Member = {
        id: options.id ?? `memory-${count}`,
        since: 0,
        joined: new Set(),
        reputation: createReputation({ now: () => performance.now() }),
        admit: peer => options.members?.includes(peer) ?? true,
        seen: new Set(),
        judge: async () => 'ignore',
        list: async () => [],
      }
      let stopped = false

      return {
        async start(handlers) {
          if (stopped) throw new NetworkStartError('the network was stopped')
          const blame = (peer: Member) => void member.reputation.blame(peer.id)
          Object.assign(member, createJudge<Member>({ handlers, idOf: peer => peer.id, blame, logger }))
          member.since = Math.floor(Date.now() / 1000)
          members.add(member)
          for (const key of member.joined) setImmediate(() => void greet(member, key))
        },
        join(key) {
          if (stopped || member.joined.has(key)) return
          member.joined.add(key)
          if (members.has(member)) setImmediate(() => void greet(member, key))
        },
        leave(key) {
          member.joined.delete(key)
        },
        async publish(key, bytes, { signal } = {}) {
          const copy = frame(bytes)
          signal?.throwIfAborted()
          if (!members.has(member)) return 0
          remember(member, copy)
          return spread(member, key, copy)
        },
        async backfill(key, { signal } = {}) {
          const given = new Set<string>()
          if (!members.has(member)) return 0
          for (const holder of subscribers(member, key).slice(0, HOLDERS)) {
            await fill(member, holder, key, given, signal)
          }
          return given.size
        },
        status: () => ({
          id: member.id,
          addresses: members.has(member) ? [`/memory/${member.id}`] : [],
          peers: members.has(member) ? peersOf(member).map(peer => peer.id) : [],
          connected: members.has(member) ? peersOf(member).map(peer => connectedTo(member, peer)) : [],
          keys: member.joined.size,
        }),
        async [Symbol.asyncDispose]() {
          stopped = true
          members.delete(member)
          member.joined.clear()
        },
      }
    },
  }
}

function connectedTo({ since }: Member, peer: Member): Connected {
  return { id: peer.id, addresses: [`/memory/${peer.id}`], since: Math.max(since, peer.since) }
}
