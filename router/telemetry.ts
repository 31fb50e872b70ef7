/** Who is told of what happens in the router: a log, and whatever counts. */
import type { Withheld } from './disclosure.ts'
import type { PacketFault } from './packet.ts'
import type { Benefit } from './synthesis/mixing.ts'

/** The shape of pino's methods. */
export interface Logger {
  debug(details: object | string, message?: string): void
  info(details: object | string, message?: string): void
  warn(details: object | string, message?: string): void
}

/** Why a packet that arrived was not kept. */
export type RejectReason =
  | PacketFault
  | 'other_space'
  | 'wrong_key'
  | 'expired'
  | 'from_future'
  | 'known'
  | 'not_member'
  | 'store_failed'

export interface RouterObserver {
  packetReceived(result: 'accepted' | RejectReason, bytes: number): void
  packetSent(recipients: number, bytes: number): void
  /** `settings`: it was made under earlier settings, and these are stricter. */
  outcomeWithheld(reason: Exclude<Withheld, 'unchanged'> | 'settings'): void
  /** As many packets about one kind of question have left today as may. */
  departureDeferred(): void
  /** What listening to peers has brought in a domain, after each outcome that could tell. */
  benefitMeasured(benefit: Benefit): void
}

/** For a router whose doings nobody counts. */
export const unobserved: RouterObserver = {
  packetReceived() {},
  packetSent() {},
  outcomeWithheld() {},
  departureDeferred() {},
  benefitMeasured() {},
}
