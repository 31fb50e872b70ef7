/** The packet decoder as a target; `packet.ts` beside it fuzzes it alone, by the million. */
import { examine } from './examine.ts'
import { packetInputs } from './packet-inputs.ts'
import type { Target } from './target.ts'

export function packetTarget(): Target<string> {
  return {
    make(dice) {
      const [input] = packetInputs(1, dice.below(0x1_0000_0000))
      return input?.bytes.toString('hex') ?? ''
    },
    async examine(hex) {
      const { verdict, reason } = await examine(Buffer.from(hex, 'hex'))
      return verdict === 'accepted' || verdict === 'refused' ? undefined : `${verdict}: ${reason}`
    },
    async [Symbol.asyncDispose]() {},
  }
}
