/** The router's handlers as the network calls them: whatever they throw ends here. */

import type { RoutingKey } from '../keyspace.ts'
import type { Logger } from '../telemetry.ts'
import type { NetworkHandlers, Verdict } from './network.ts'

export interface Judge<Peer> {
  /** What the router thinks of bytes from `peer`, who is blamed for what it rejects. */
  judge(peer: Peer, key: RoutingKey, bytes: Uint8Array): Promise<Verdict>
  list: NetworkHandlers['list']
}

export function createJudge<Peer>(components: {
  handlers: NetworkHandlers
  idOf(peer: Peer): string
  blame(peer: Peer): void
  logger: Logger
}): Judge<Peer> {
  const { handlers, idOf, blame, logger } = components
  return {
    async judge(peer, key, bytes) {
      try {
        const verdict = await handlers.receive(key, bytes, idOf(peer))
        if (verdict === 'reject') blame(peer)
        return verdict
      } catch (error) {
        logger.warn({ err: error }, 'a packet could not be judged')
        return 'ignore'
      }
    },
    async list(key, page) {
      try {
        return await handlers.list(key, page)
      } catch (error) {
        logger.warn({ err: error }, 'packets could not be listed')
        return []
      }
    },
  }
}
