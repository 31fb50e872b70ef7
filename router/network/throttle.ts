/**
 * Makes a peer that sends too much wait: its connection is not read for a while, so that TCP slows it down and nothing
 * honest is lost. libp2p's own streams take in whatever comes, as fast as it comes.
 */
import type { ConnectionEncrypter, MessageStream, StreamMessageEvent, StreamMuxerFactory } from '@libp2p/interface'
import { attendedMuxer } from './muxers.ts'
import { overhear } from './overhear.ts'
import { attended, brakeOf } from './secured.ts'

export interface Throttle {
  /** Charges a peer for work that its bytes do not show. */
  charge(peer: string, cost: number): void
  /** The same encrypter, with what arrives charged to its peer. */
  metered<Components>(
    createEncrypter: (components: Components) => ConnectionEncrypter,
  ): (components: Components) => ConnectionEncrypter
  /** The same multiplexer, with each stream that a peer opens charged to it. */
  counted<Components>(
    createMuxer: (components: Components) => StreamMuxerFactory,
  ): (components: Components) => StreamMuxerFactory
}

export interface ThrottleOptions {
  /** What a peer may cost a second, in the long run; a byte costs 1. */
  perSecond: number
  /** What it may cost at once, once it has been quiet for long enough. */
  burst: number
  /** What a peer that was never seen may cost at once. */
  credit: number
  /** Of a stream that a peer opens. */
  streamCost: number
}

/** Peers remembered at a time, far more than there can be connections. */
const MAX_PEERS = 1024

export function createThrottle(
  components: {
    now(): number
    /** Called each time a peer has to wait. */
    onSlowed(): void
  },
  options: ThrottleOptions,
): Throttle {
  const { now, onSlowed } = components
  const { perSecond, burst, credit, streamCost } = options
  const accounts = new Map<string, { balance: number; at: number; resume?: NodeJS.Timeout }>()
  const connections = new Map<string, Set<MessageStream>>()
  const owners = new WeakMap<object, string>()

  function charge(peer: string, cost: number): void {
    const at = now()
    const account = accounts.get(peer) ?? { balance: credit, at }
    const earned = ((at - account.at) / 1000) * perSecond
    // however much came at once, the wait for it is bounded
    account.balance = Math.max(-burst, Math.min(burst, account.balance + earned) - cost)
    account.at = at
    accounts.delete(peer)
    accounts.set(peer, account)
    if (accounts.size > MAX_PEERS) forgetOldest()
    if (account.balance >= 0 || account.resume !== undefined) return
    onSlowed()
    each(peer, connection => connection.pause())
    account.resume = setTimeout(
      () => {
        delete account.resume
        each(peer, connection => connection.resume())
      },
      (-account.balance / perSecond) * 1000,
    ).unref()
  }

  /** Of those that are not made to wait, whose end is still to come. */
  function forgetOldest(): void {
    for (const [peer, { resume }] of accounts) {
      if (resume !== undefined) continue
      accounts.delete(peer)
      return
    }
  }

  function each(peer: string, act: (connection: MessageStream) => void): void {
    for (const connection of connections.get(peer) ?? []) {
      try {
        act(connection)
      } catch {
        // it is closing, and will be forgotten
      }
    }
  }

  /** @param brake is paused where there is one: a paused stream above it takes in all that comes meanwhile */
  function watch(peer: string, plaintext: MessageStream, brake = plaintext): void {
    const held = connections.get(peer) ?? new Set()
    connections.set(peer, held.add(brake))
    owners.set(plaintext, peer)
    plaintext.addEventListener('close', () => {
      held.delete(brake)
      if (held.size === 0 && connections.get(peer) === held) connections.delete(peer)
    })
    overhear(plaintext, 'message', event => charge(peer, (event as StreamMessageEvent).data.byteLength))
  }

  return {
    charge,
    metered: createEncrypter =>
      attended(createEncrypter, ({ remotePeer, connection }, ciphertext) =>
        watch(remotePeer.toString(), connection, brakeOf(ciphertext)),
      ),
    counted: createMuxer =>
      attendedMuxer(createMuxer, (muxer, connection) => {
        const peer = owners.get(connection)
        if (peer !== undefined) overhear(muxer, 'stream', () => charge(peer, streamCost))
      }),
  }
}
