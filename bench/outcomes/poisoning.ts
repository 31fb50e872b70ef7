/** What liars can do: each attack at each share of liars and amount of local feedback, beside the same site without them. */
import { evaluate } from './evaluate.ts'
import { mean } from './figures.ts'
import { type BenchOptions, headline } from './options.ts'
import { type Attack, attacks, type World } from './scenario.ts'

export interface PoisoningRow {
  attack: Attack
  liars: number
  feedback: number
  /** Brier score beside that without liars, and beside this site's own estimate; means over seeds and models. */
  dbrier: number
  vs_local: number
}

export interface PoisoningResult {
  /** With 20 local outcomes: the worst attack by 30 % liars. */
  liars30_worst_dbrier: number
  liars30_worst_vs_local: number
  /** With 500: the worst by 80 %. */
  liars80_worst_vs_local: number
  poisoning: PoisoningRow[]
}

const NODES = 64
const EACH = 63

export function measurePoisoning(world: World, options: BenchOptions): PoisoningResult {
  const { quick, seeds, modelsOf, say } = options
  const tested = Math.min(options.tested, 500)
  const most = world.table.questions.length - tested
  const common = {
    ...headline(options, world.table.questions.length),
    nodes: NODES,
    each: Math.min(EACH, Math.floor((most - 500) / NODES)),
    tested,
  }
  const shares = quick ? [0.3, 0.8] : [0.1, 0.3, 0.6, 0.8]
  const rows: PoisoningRow[] = []
  for (const feedback of quick ? [20, 500] : [0, 20, 100, 500]) {
    const measure = (attack: Attack, liars: number) =>
      seeds.flatMap(seed =>
        modelsOf(seed)
          .filter(one(seed))
          .map(model => {
            const { swarm, local } = evaluate(world, { ...common, own: feedback, seed, model, attack, liars }).figures
            return { swarm: swarm?.brier ?? Number.NaN, local: local?.brier ?? Number.NaN }
          }),
      )
    const honest = mean(measure('good', 0).map(({ swarm }) => swarm))
    for (const attack of attacks) {
      for (const liars of shares) {
        const all = measure(attack, liars)
        const row = {
          attack,
          liars,
          feedback,
          dbrier: mean(all.map(({ swarm }) => swarm)) - honest,
          vs_local: mean(all.map(({ swarm, local }) => swarm - local)),
        }
        rows.push(row)
        say(
          `${feedback} outcomes, ${100 * liars} % ${attack}: Brier ${signed(row.dbrier)}, beside alone ${signed(row.vs_local)}`,
        )
      }
    }
  }
  const worst = (share: number, feedback: number, what: 'dbrier' | 'vs_local') =>
    Math.max(...rows.filter(row => row.liars === share && row.feedback === feedback).map(row => row[what]))
  return {
    liars30_worst_dbrier: worst(0.3, 20, 'dbrier'),
    liars30_worst_vs_local: worst(0.3, 20, 'vs_local'),
    liars80_worst_vs_local: worst(0.8, 500, 'vs_local'),
    poisoning: rows,
  }
}

/** The grid is large: one model a seed. */
function one(seed: number) {
  return (_model: number, at: number, all: readonly number[]) => at === seed % all.length
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(4)}`
}
