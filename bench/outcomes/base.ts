/** The headline: ways of knowing beside each other, with and without domain tags, under each profile, and the controls. */
import { type ProfileName, profiles } from '../../router/disclosure.ts'
import { type Evaluation, type Extras, evaluate, type Method } from './evaluate.ts'
import { type Figures, interval, mean, meanFigures } from './figures.ts'
import { evaluateThroughNetwork } from './network.ts'
import { type BenchOptions, headline } from './options.ts'
import type { Scenario, World } from './scenario.ts'

export interface BaseResult {
  auc: Record<string, number>
  auc_tagged: Record<string, number>
  bss: Record<string, number>
  bss_tagged: Record<string, number>
  log_loss: Record<string, number>
  calibration_error: Record<string, number>
  intervals: Record<string, number>
  profiles: Record<string, { auc: number; bss: number; auc_tagged: number; bss_tagged: number }>
  mixed: { auc: number; bss: number; auc_tagged: number; bss_tagged: number }
  network: { auc: number; bss: number; auc_tagged: number; bss_tagged: number }
  /** Of the packets of all peers: read by a question; received by a site that asks about everything. */
  read_share: number
  node_share: number
  shuffled_bss: number
}

const METHODS: readonly Method[] = ['local', 'seed', 'swarm', 'central']

interface Summary {
  figures: Partial<Record<Method, Figures>>
  /** Half the width of the 95 % interval of the swarm's figures over seeds. */
  half: { auc: number; bss: number }
  read: number
}

export async function measureBase(world: World, options: BenchOptions): Promise<BaseResult> {
  const { say, quick } = options
  const common = headline(options, world.table.questions.length)
  const measure = (changes: Partial<Scenario>, extras: Extras = {}) =>
    over(options, async run => evaluate(world, { ...common, ...changes, ...run }, extras))

  const extras = { seedRule: true, central: true }
  const untagged = await measure({}, extras)
  const tagged = await measure({ tagged: true }, extras)
  for (const [label, { figures }] of Object.entries({ untagged, tagged })) {
    for (const method of METHODS) say(`${label.padEnd(10)} ${method.padEnd(10)} ${line(figures[method])}`)
  }

  const pairs: BaseResult['profiles'] = {}
  for (const profile of Object.keys(profiles) as ProfileName[]) {
    const [plain, withTags] =
      profile === 'open' ? [untagged, tagged] : [await measure({ profile }), await measure({ profile, tagged: true })]
    pairs[profile] = pairOf(plain, withTags)
    say(`${profile.padEnd(21)} ${line(plain.figures.swarm)} | tagged ${line(withTags.figures.swarm)}`)
  }

  const shuffled = await measure({ shuffled: true })
  say(`${'shuffled'.padEnd(21)} ${line(shuffled.figures.swarm)}`)
  const mixed = pairOf(await measure({ models: 'mixed' }), await measure({ models: 'mixed', tagged: true }))

  // Through everything it is the same code on the same packets, so fewer seeds tell whether the network takes anything away.
  const fewer = {
    ...options,
    seeds: options.seeds.slice(0, 1),
    modelsOf: (seed: number) => options.modelsOf(seed).slice(0, quick ? 1 : undefined),
  }
  const received: number[] = []
  const through = (changes: Partial<Scenario>) =>
    over(fewer, async run => {
      const result = await evaluateThroughNetwork(world, { ...common, ...changes, ...run })
      if (!changes.tagged) received.push(result.received)
      return result
    })
  const network = pairOf(await through({}), await through({ tagged: true }))
  say(`${'through the network'.padEnd(21)} ${JSON.stringify(network)} received ${mean(received).toFixed(3)}`)

  const of = (name: keyof Figures, summary: Summary) =>
    Object.fromEntries(METHODS.map(method => [method, summary.figures[method]?.[name] ?? Number.NaN]))
  return {
    auc: of('auc', untagged),
    auc_tagged: of('auc', tagged),
    bss: of('bss', untagged),
    bss_tagged: of('bss', tagged),
    log_loss: of('log_loss', untagged),
    calibration_error: of('calibration_error', untagged),
    intervals: {
      auc: untagged.half.auc,
      bss: untagged.half.bss,
      auc_tagged: tagged.half.auc,
      bss_tagged: tagged.half.bss,
    },
    profiles: pairs,
    mixed,
    network,
    read_share: untagged.read,
    node_share: mean(received),
    shuffled_bss: shuffled.figures.swarm?.bss ?? Number.NaN,
  }
}

async function over(
  { seeds, modelsOf }: Pick<BenchOptions, 'seeds' | 'modelsOf'>,
  play: (run: { seed: number; model: number }) => Promise<Evaluation>,
): Promise<Summary> {
  const bySeed: Evaluation[][] = []
  for (const seed of seeds) {
    const evaluations: Evaluation[] = []
    for (const model of modelsOf(seed)) evaluations.push(await play({ seed, model }))
    bySeed.push(evaluations)
  }
  const all = bySeed.flat()
  const figures: Summary['figures'] = {}
  for (const method of METHODS) {
    const known = all.flatMap(({ figures }) => figures[method] ?? [])
    if (known.length > 0) figures[method] = meanFigures(known)
  }
  const swarms = bySeed.map(evaluations => meanFigures(evaluations.flatMap(({ figures }) => figures.swarm ?? [])))
  const half = (name: 'auc' | 'bss') => interval(swarms.map(seed => seed[name])).half
  return { figures, half: { auc: half('auc'), bss: half('bss') }, read: mean(all.map(({ read }) => read)) }
}

function pairOf(untagged: Summary, tagged: Summary) {
  const of = ({ figures }: Summary) => ({
    auc: figures.swarm?.auc ?? Number.NaN,
    bss: figures.swarm?.bss ?? Number.NaN,
  })
  const [plain, withTags] = [of(untagged), of(tagged)]
  return { ...plain, auc_tagged: withTags.auc, bss_tagged: withTags.bss }
}

function line(figures: Figures | undefined): string {
  if (!figures) return '-'
  const { auc, bss, log_loss, calibration_error } = figures
  return `AUC ${auc.toFixed(4)}  skill ${bss.toFixed(4)}  log loss ${log_loss.toFixed(4)}  calibration ${calibration_error.toFixed(4)}`
}
