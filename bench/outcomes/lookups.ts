/** What one look-up of a fresh question costs with the packets of a large swarm; `npm run bench:lookup` asks more closely. */
import type { World } from './scenario.ts'
import { createSite } from './site.ts'

const PACKETS = 100_000
const LOOKUPS = 2_000

export function timeLookups({ space, questions, probes }: World): { lookup_us_p50: number } {
  const site = createSite(space, probes)
  for (let packet = 0; packet < PACKETS; packet++) {
    const code = questions[packet % questions.length]?.code as string
    // The table has fewer questions than that: others like them differ in the last digits.
    const digits = (packet * 7919).toString(16).padStart(6, '0').slice(-6)
    site.hear({
      code: code.slice(0, 10) + digits,
      model: packet % 2 === 0 ? 'm' : 'other',
      domain: 'general',
      signal: packet % 3 === 0 ? 0 : 1,
      ...(packet % 1000 !== 0 && { author: `peer-${packet % 500}` }),
    })
  }
  const times = Array.from({ length: LOOKUPS }, (_, i) => {
    const question = questions[(i * 31) % questions.length] as (typeof questions)[number]
    const begun = performance.now()
    site.ask(question, 'm', 'general')
    return (performance.now() - begun) * 1000
  }).sort((a, b) => a - b)
  return { lookup_us_p50: Math.round(times[LOOKUPS / 2] as number) }
}
