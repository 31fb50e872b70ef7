/** Gives the decoder one input, and compares what it says of it with what another implementation says. */
import { encodePayload, openPacket, PacketInvalidError } from '../../router/packet.ts'
import { readPacket } from '../support/other-reader.ts'

/** `crash`: it threw something else than a refusal. The last two are disagreements with the other implementation. */
export type Verdict = 'accepted' | 'refused' | 'crash' | 'accepted_invalid' | 'refused_valid'

export interface Finding {
  verdict: Verdict
  /** Why, in the words of whoever refused it. */
  reason: string
  /** By the clock, so with all that the machine did meanwhile. */
  ms: number
}

export async function examine(bytes: Uint8Array): Promise<Finding> {
  const begun = performance.now()
  const opened = await openPacket(bytes).catch((thrown: unknown) => ({ thrown }))
  const ms = performance.now() - begun
  const expected = readPacket(bytes)
  if ('thrown' in opened) {
    const { thrown } = opened
    if (!(thrown instanceof PacketInvalidError)) {
      return {
        verdict: 'crash',
        reason: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown),
        ms,
      }
    }
    const verdict = typeof expected === 'string' ? 'refused' : 'refused_valid'
    return { verdict, reason: `${thrown.fault}: ${thrown.message}`, ms }
  }
  if (typeof expected === 'string') return { verdict: 'accepted_invalid', reason: expected, ms }
  const same = opened.author === expected.peerId && encodePayload(opened.packet) === expected.payload
  if (!same) return { verdict: 'accepted_invalid', reason: 'read as something else', ms }
  return { verdict: 'accepted', reason: '', ms }
}
