/** Packets as gossip: judged before they are passed on, one topic per key. */
import {
  type GossipSub,
  type SubscriptionChangeData,
  type TopicValidatorFn,
  TopicValidatorResult,
} from '@libp2p/gossipsub'
import type { PeerId } from '@libp2p/interface'
import { fromTopic, type RoutingKey, toTopic } from '../keyspace.ts'
import { isFrame } from './checks.ts'
import type { NetworkEvent } from './events.ts'
import type { Verdict } from './network.ts'
import type { RateLimit } from './rate-limit.ts'
import type { Throttle } from './throttle.ts'

const RESULTS = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
} as const satisfies Record<Verdict, TopicValidatorResult>

const POLL_MS = 20

/** What a peer is charged for a packet, and for anything smaller that it says of packets and topics. */
const PACKET_COST = 2_048
const MATTER_COST = 64

export interface Gossip {
  subscribe(key: RoutingKey): void
  unsubscribe(key: RoutingKey): void
  /** Connected peers that joined the key. */
  subscribers(key: RoutingKey): PeerId[]
  /** Whether the peer joined a key that this node joined. */
  sharesKey(peer: PeerId): boolean
  /** Whether a packet for the key would reach anybody now. */
  heard(key: RoutingKey): boolean
  /** Resolves once a packet for the key would reach somebody, or the signal aborts. */
  untilHeard(key: RoutingKey, signal: AbortSignal): Promise<void>
  /** Resolves to the number of peers the packet was handed to. */
  publish(key: RoutingKey, bytes: Uint8Array): Promise<number>
  stop(): void
}

export function createGossip(components: {
  pubsub: GossipSub
  joined: ReadonlySet<RoutingKey>
  /** For each peer. */
  limit: RateLimit
  /** For all together. */
  totalLimit: RateLimit
  throttle: Pick<Throttle, 'charge'>
  count(event: NetworkEvent): void
  /** Judges one packet that a peer relayed; never throws. */
  judge(peer: PeerId, key: RoutingKey, bytes: Uint8Array): Promise<Verdict>
  shunned(peer: PeerId): boolean
  /** Called for a peer that relayed what no honest node relays. */
  blame(peer: PeerId): void
  /** Called when a peer says that it joined a key. */
  onSubscriber(peer: PeerId, key: RoutingKey): void
}): Gossip {
  const { pubsub, joined, limit, totalLimit, throttle, count, judge, shunned, blame, onSubscriber } = components

  // one validator for every topic there may be: what we have not joined is neither kept nor passed on
  pubsub.topicValidators = new (class extends Map<string, TopicValidatorFn> {
    override get(topic: string): TopicValidatorFn {
      return (peer, message) => validate(peer, topic, message.data)
    }
  })()

  async function validate(peer: PeerId, topic: string, data: Uint8Array): Promise<TopicValidatorResult> {
    const key = fromTopic(topic)
    if (key === undefined || !joined.has(key)) return ignored('packet_unwanted')
    if (shunned(peer)) return TopicValidatorResult.Ignore
    if (!isFrame(data)) {
      count('packet_oversize')
      blame(peer)
      return TopicValidatorResult.Reject
    }
    if (!limit.take(peer.toString())) return ignored('packet_peer_rate')
    if (!totalLimit.take('all')) return ignored('packet_total_rate')
    return RESULTS[await judge(peer, key, new Uint8Array(data))]
  }

  function ignored(event: NetworkEvent): TopicValidatorResult {
    count(event)
    return TopicValidatorResult.Ignore
  }

  // gossipsub's type does not show that it may be overridden
  const receiver = pubsub as unknown as { handleReceivedRpc(from: PeerId, rpc: Rpc): Promise<void> }
  const handleReceivedRpc = receiver.handleReceivedRpc.bind(pubsub)
  receiver.handleReceivedRpc = async (from, rpc) => {
    throttle.charge(from.toString(), costOf(rpc))
    if (!shunned(from)) await handleReceivedRpc(from, rpc)
  }

  const onChange = (event: CustomEvent<SubscriptionChangeData>) => {
    for (const { topic, subscribe } of event.detail.subscriptions) {
      const key = subscribe ? fromTopic(topic) : undefined
      if (key !== undefined) onSubscriber(event.detail.peerId, key)
    }
  }
  pubsub.addEventListener('subscription-change', onChange)

  const { streamsOutbound, topics } = pubsub as unknown as {
    streamsOutbound: ReadonlyMap<string, unknown>
    topics: ReadonlyMap<string, ReadonlySet<string>>
  }
  const subscribers = (key: RoutingKey) => pubsub.getSubscribers(toTopic(key))
  // a peer can say what it joined before gossipsub has a stream to answer on; its type hides those it has
  const heard = (key: RoutingKey) => subscribers(key).some(peer => streamsOutbound.has(peer.toString()))

  return {
    subscribe: key => pubsub.subscribe(toTopic(key)),
    unsubscribe: key => pubsub.unsubscribe(toTopic(key)),
    subscribers,
    sharesKey: peer => [...joined].some(key => topics.get(toTopic(key))?.has(peer.toString())),
    heard,
    async untilHeard(key, signal) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const check = () => {
        if (signal.aborted || heard(key)) resolve()
      }
      // gossipsub does not say when it has opened a stream
      const timer = setInterval(check, POLL_MS)
      signal.addEventListener('abort', check, { once: true })
      check()
      try {
        await promise
      } finally {
        clearInterval(timer)
      }
    },
    async publish(key, bytes) {
      // a packet that gossipsub has seen is not sent again for two minutes: do not let it see one that nobody gets
      if (!heard(key)) return 0
      try {
        return (await pubsub.publish(toTopic(key), bytes)).recipients.length
      } catch (error) {
        if (error instanceof Error && error.message === 'PublishError.NoPeersSubscribedToTopic') return 0
        throw error
      }
    },
    stop() {
      pubsub.removeEventListener('subscription-change', onChange)
    },
  }
}

/** As gossipsub has decoded it. */
interface Rpc {
  messages: unknown[]
  subscriptions: unknown[]
  control?: {
    ihave: { messageIDs: unknown[] }[]
    iwant: { messageIDs: unknown[] }[]
    idontwant: { messageIDs: unknown[] }[]
    graft: unknown[]
    prune: unknown[]
  }
}

function costOf({ messages, subscriptions, control }: Rpc): number {
  const named = (entries: { messageIDs: unknown[] }[] = []) =>
    entries.reduce((sum, { messageIDs }) => sum + 1 + messageIDs.length, 0)
  const matters =
    1 +
    subscriptions.length +
    named(control?.ihave) +
    named(control?.iwant) +
    named(control?.idontwant) +
    (control?.graft.length ?? 0) +
    (control?.prune.length ?? 0)
  return messages.length * PACKET_COST + matters * MATTER_COST
}
