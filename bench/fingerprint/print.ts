/** The tables that people read. */
import type { Figures } from './measure-candidate.ts'
import { VIEWS, type View } from './views.ts'

const label = (view: View) => (typeof view === 'number' ? `${view} digits` : view)
const figure = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(3)).padStart(8)
const percent = (share: number) => `${(100 * share).toFixed(1)} %`.padStart(8)
const row = (head: string, ...cells: string[]) => `${head.padEnd(12)}${cells.map(cell => cell.padStart(9)).join('')}`

export function printFigures(say: (line: string) => void, name: string, figures: Figures): void {
  const { stsb, mrpc, clinc, banking, llmrouter, opposites, speed } = figures
  say(row(name, 'STS-B', 'MRPC', 'CLINC', 'BANKING', 'router', 'skill', 'opposite', 'confused'))
  for (const view of VIEWS) {
    const cells = [stsb?.[view], mrpc?.[view], clinc?.[view], banking?.[view]]
    cells.push(llmrouter?.[view].auc, llmrouter?.[view].skill, opposites[view].auc)
    say(row(label(view), ...cells.map(figure), percent(opposites[view].confused)))
  }
  const { oppositeLikeness, paraphraseLikeness } = opposites.exact
  say(`likeness of opposites ${figure(oppositeLikeness)}, of paraphrases ${figure(paraphraseLikeness)}`)

  say(`\n${row('probes', 'traffic', 'router', 'skill', 'recall')}`)
  for (const { probes, traffic, auc, skill } of figures.probed) {
    say(row(String(probes), percent(traffic), figure(auc), figure(skill), figure(auc / (llmrouter?.exact.auc ?? 0))))
  }
  for (const [k, shares] of figures.disclosable) {
    say(`k = ${k}: ${shares.map((share, i) => `${i + 2} digits ${percent(share).trim()}`).join(', ')} of questions`)
  }
  const costs = Object.entries(speed).map(([step, microseconds]) => `${step} ${microseconds.toFixed(2)}`)
  say(`µs a text of 200 characters: ${costs.join(', ')}`)
}
