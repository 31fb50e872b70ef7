/** What the network turned away, slowed down or broke off, and where it failed itself, by reason; for whoever counts. */

export type NetworkEvent =
  /** Connections refused: no room, no member, shunned, or too many or too many failures from that address. */
  | 'connection_full'
  | 'connection_stranger'
  | 'connection_shunned'
  | 'connection_hasty'
  /** Callers that did not get through the handshake: without the key of the swarm; silent, speaking rubbish, or gone. */
  | 'handshake_key'
  | 'handshake_failed'
  /** A connection ended because its peer speaks none of our protocols, or does not answer at all. */
  | 'connection_silent'
  /** A peer that was let go to keep room for the next. */
  | 'connection_trimmed'
  /** Packets by gossip that were not judged: too long, not for us, too many from one peer or from all. */
  | 'packet_oversize'
  | 'packet_unwanted'
  | 'packet_peer_rate'
  | 'packet_total_rate'
  /** Backfill streams: broken rules, deadlines and broken-off streams, no room, too many requests. */
  | 'sync_breach'
  | 'sync_failed'
  | 'sync_busy'
  | 'sync_rate'
  /** A peer has to wait, since it sends too much. */
  | 'peer_slowed'
  /** A peer broke the rules for the last time and is shunned. */
  | 'peer_shunned'
  /** The network could not be started, at first or again; it was taken down for a fault of its own; its own thread has ended. */
  | 'start_failed'
  | 'fault'
  | 'thread_ended'

export interface NetworkObserver {
  networkEvent(event: NetworkEvent): void
}
