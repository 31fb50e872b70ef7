/** The one line that programs read; null for what was not measured. */
import type { Candidate } from './candidates.ts'
import type { Figures } from './measure-candidate.ts'
import { mean } from './measures.ts'

const rounded = (value: number | undefined) => (value === undefined ? null : Number(value.toFixed(4)))

export function summarise(measured: ReadonlyMap<Candidate['name'], Figures>, agreement: Agreement | undefined) {
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
    student_teacher_cell_agreement: rounded(agreement?.sameCell),
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

export interface Agreement {
  /** Share of questions that both put into the same cell. */
  sameCell: number
  /** Share of questions whose cell, as the teacher finds it, is among those that the student probes. */
  probed: number
}

/** Of a question's packets, what a node with one embedder finds that another wrote; undefined unless they share a space. */
export function cellAgreement(
  student: Pick<Figures, 'space' | 'cells'>,
  teacher: Pick<Figures, 'space' | 'cells'>,
): Agreement | undefined {
  if (student.cells.length === 0 || student.space.id !== teacher.space.id) return undefined
  const share = (holds: (own: readonly number[], cell: number | undefined) => boolean) =>
    mean(student.cells.map((own, i) => (holds(own, teacher.cells[i]?.[0]) ? 1 : 0)))
  return {
    sameCell: share((own, cell) => own[0] === cell),
    probed: share((own, cell) => cell !== undefined && own.includes(cell)),
  }
}
