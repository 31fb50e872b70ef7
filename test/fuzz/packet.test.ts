import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { examine } from './examine.ts'
import { packetInputs } from './packet-inputs.ts'

interface Kept {
  kind: string
  verdict: string
  reason: string
  /** Hex. */
  bytes: string
}
const corpus = JSON.parse(readFileSync(new URL('../fixtures/packet-corpus.json', import.meta.url), 'utf8')) as Kept[]

/** Enough to meet every kind of input hundreds of times. */
const INPUTS = 10_000

/** Its code, without the words. */
function faultIn(reason: string): string {
  return reason.split(':')[0] ?? ''
}

describe('the decoder of packets', () => {
  it('says of every input that was ever worth keeping what it said then', async () => {
    assert.ok(corpus.length > 50)
    for (const { kind, verdict, reason, bytes } of corpus) {
      const found = await examine(Buffer.from(bytes, 'hex'))
      assert.deepEqual([found.verdict, faultIn(found.reason)], [verdict, faultIn(reason)], `${kind}: ${bytes}`)
    }
  })

  it('agrees with another implementation on noise, on altered packets and on well signed lies', async () => {
    const seen: Record<string, Set<string>> = {}
    for (const { kind, bytes } of packetInputs(INPUTS, 20260101)) {
      const { verdict, reason } = await examine(bytes)
      assert.match(verdict, /^(accepted|refused)$/, `${kind}: ${reason}\n${bytes.toString('hex')}`)
      seen[kind] ??= new Set()
      seen[kind].add(verdict)
    }
    assert.equal(Object.keys(seen).length, 7)
    assert.deepEqual([...(seen.sound ?? [])], ['accepted'])
    assert.deepEqual([...(seen['a payload rewritten, signed'] ?? [])].toSorted(), ['accepted', 'refused'])
  })

  it('is given the same inputs for the same seed, and others for another', () => {
    const hex = (seed: number) => [...packetInputs(50, seed)].map(({ bytes }) => bytes.toString('hex'))
    assert.deepEqual(hex(1), hex(1))
    assert.notDeepEqual(hex(1), hex(2))
  })
})
