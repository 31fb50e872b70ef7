/** What more nodes bring, and what a small site has of them beside a large one. */
import { evaluate } from './evaluate.ts'
import { meanFigures } from './figures.ts'
import { type BenchOptions, headline, runs } from './options.ts'
import type { Scenario, World } from './scenario.ts'

export interface SizesResult {
  /** So many nodes with 63 outcomes each. */
  by_n: { n: number[]; auc: number[]; bss: number[] }
  /** The skill of a site with 10 outcomes, as a share of that of one with 400, both in the swarm. */
  small_site_gain: number
  sites: { own: number[]; local_bss: number[]; bss: number[] }
}

const EACH = 63

export function measureSizes(world: World, options: BenchOptions): SizesResult {
  const common = headline(options, world.table.questions.length)
  const most = world.table.questions.length - options.tested
  const measure = (changes: Partial<Scenario>) => {
    const all = [...runs(options)].map(run => evaluate(world, { ...common, ...changes, ...run }).figures)
    return {
      swarm: meanFigures(all.flatMap(({ swarm }) => swarm ?? [])),
      local: meanFigures(all.flatMap(({ local }) => local ?? [])),
    }
  }
  const by_n: SizesResult['by_n'] = { n: [], auc: [], bss: [] }
  for (const n of [1, 4, 16, 64, 256]) {
    // A table has only so many questions; each is asked once.
    const each = Math.min(EACH, Math.floor(most / n))
    const { swarm } = measure({ nodes: n, each, own: EACH })
    by_n.n.push(n)
    by_n.auc.push(swarm.auc)
    by_n.bss.push(swarm.bss)
    options.say(`${n} nodes of ${each}: AUC ${swarm.auc.toFixed(4)}, skill ${swarm.bss.toFixed(4)}`)
  }
  const sites: SizesResult['sites'] = { own: [], local_bss: [], bss: [] }
  for (const own of [10, 20, 100, 400]) {
    const { swarm, local } = measure({ own })
    sites.own.push(own)
    sites.local_bss.push(local.bss)
    sites.bss.push(swarm.bss)
    options.say(`a site of ${own}: alone ${local.bss.toFixed(4)}, in the swarm ${swarm.bss.toFixed(4)}`)
  }
  return { by_n, small_site_gain: Number(sites.bss[0]) / Number(sites.bss.at(-1)), sites }
}
