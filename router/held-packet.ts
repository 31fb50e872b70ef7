/** A peer's packet as it is shown to the operator of this node: what it says, and how it counts here. */
import type { Evidence } from './evidence.ts'
import type { Outcome } from './outcome.ts'
import type { Standing } from './synthesis/agreement.ts'

/** `signal` is as it was sent; with noise on it, 0 or 1. */
export interface HeldPacket extends Outcome {
  /** Peer id of the signer. */
  author: string
  standing: Standing
  /** The first two digits of its code. */
  cell: string
  noisy: boolean
  /** Unix seconds. */
  expires: number
}

export function heldPacket(evidence: Evidence, standing: Standing): HeldPacket {
  const { author, answer, code, domain, model, signal, confidence, correction, strategy } = evidence
  const { observer, intervention, revision, withdrawn, noisy, time, expires } = evidence
  return {
    author,
    standing,
    answer,
    code,
    cell: code.slice(0, 2),
    domain,
    model,
    // Unbiased, a noisy 1 lies above one half, and a noisy 0 below.
    signal: noisy ? Number(signal > 0.5) : signal,
    noisy,
    ...(confidence !== undefined && { confidence }),
    ...(correction !== undefined && { correction }),
    ...(strategy !== undefined && { strategy }),
    observer,
    intervention,
    revision,
    withdrawn,
    time,
    expires,
  }
}
