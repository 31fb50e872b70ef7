/** The one line that programs read; null for what was not measured. */
import type { Candidate } from './candidates.ts'
import type { Figures } from './measure-candidate.ts'
import { agreement } from './measures.ts'

const rounded = (value: number | undefined) => (value === undefined ? null : Number(value.toFixed(4)))

export function summarise(measured: ReadonlyMap<Candidate['name'], Figures>, cellAgreement: number | undefined) {
  const builtin = measured.get('builtin')
  const probe8 = builtin?.probed.find(({ probes }) => probes === 8)
  const exactAuc = builtin?.llmrouter?.exact.auc
  return {
    builtin: summariseOne(builtin),
    potion: summariseOne(measured.get('potion')),
    minilm: summariseOne(measured.get('minilm')),
    code16_vs_exact: rounded(builtin && code16VersusExact(builtin)),
    probe8:
      probe8 && exactAuc !== undefined
        ? { traffic: rounded(probe8.traffic), recall: rounded(probe8.auc / exactAuc) }
        : null,
    student_teacher_cell_agreement: rounded(cellAgreement),
  }
}

/** Of projected vectors, compared exactly. `us_encode` is from the embedder's vector to its code. */
function summariseOne(figures: Figures | undefined) {
  if (figures === undefined) return null
  const { stsb, clinc, banking, mrpc, llmrouter, opposites, speed } = figures
  return {
    stsb: rounded(stsb?.exact),
    clinc: rounded(clinc?.exact),
    banking: rounded(banking?.exact),
    mrpc: rounded(mrpc?.exact),
    us_embed: rounded(speed.embed),
    us_encode: rounded(speed.project + speed.tables + speed.encode),
    router_auc: rounded(llmrouter?.exact.auc),
    router_skill: rounded(llmrouter?.exact.skill),
    opposites_auc: rounded(opposites.exact.auc),
  }
}

/** What the full code keeps of the exact vectors' figure, on the set where it keeps least. */
function code16VersusExact({ stsb, clinc, banking, mrpc, llmrouter }: Figures): number | undefined {
  const kept = [stsb, clinc, banking, mrpc].flatMap(byView => (byView ? [byView[16] / byView.exact] : []))
  if (llmrouter) kept.push(llmrouter[16].auc / llmrouter.exact.auc)
  return kept.length === 0 ? undefined : Math.min(...kept)
}

/** Share of texts that two embedders put into the same cell; undefined unless their spaces have one codebook. */
export function cellAgreement(
  a: Pick<Figures, 'space' | 'codes'>,
  b: Pick<Figures, 'space' | 'codes'>,
): number | undefined {
  if (a.codes.length === 0 || !sameTable(a.space.cells, b.space.cells) || !sameTable(a.space.levels, b.space.levels)) {
    return undefined
  }
  const cells = (codes: readonly string[]) => codes.map(code => code.slice(0, 2))
  return agreement(cells(a.codes), cells(b.codes))
}

function sameTable(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}
