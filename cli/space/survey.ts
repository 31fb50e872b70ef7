/** What there is to know of a space without any text: its manifest, and how its reference texts are spread. */
import { loadSpace, readManifest, type SpaceManifest } from '../../router/space.ts'

/** The k of the disclosure profiles that people ask about. */
export const KS = [20, 50] as const

export interface Survey {
  folder: string
  id: string
  manifest: SpaceManifest
  referenceTexts: number
  /** Of code prefixes of 2, 3 and 4 digits: how many are used, and the share of reference texts that may disclose them. */
  prefixes: { digits: number; used: number; disclosed: Record<`k${(typeof KS)[number]}`, number> }[]
  /** Reference texts in each of the 256 cells. */
  cells: number[]
}

/** @throws {SpaceInvalidError} naming the file at fault */
export async function survey(folder: string): Promise<Survey> {
  const manifest = await readManifest(folder)
  const { id, counts } = await loadSpace(folder)
  const referenceTexts = sum(counts[0])
  const share = (table: Uint32Array, k: number) =>
    referenceTexts === 0 ? 0 : sum(table.filter(count => count >= k)) / referenceTexts
  return {
    folder,
    id,
    manifest,
    referenceTexts,
    prefixes: counts.map((table, i) => ({
      digits: i + 2,
      used: table.filter(count => count > 0).length,
      disclosed: { k20: share(table, 20), k50: share(table, 50) },
    })),
    cells: Array.from(counts[0]),
  }
}

export function surveyText({ folder, id, manifest, referenceTexts, prefixes, cells }: Survey): string {
  const { name, embedder, dimensions, projection, levels, branches, files } = manifest
  const sorted = cells.toSorted((a, b) => a - b)
  const lines = [
    `${name}, id ${id}, in ${folder}`,
    `embedder      ${embedder.id}, revision ${embedder.revision}: ${embedder.dimensions} dimensions, pooling ${embedder.pooling}`,
    `code          ${dimensions} dimensions${projection ? ' after projection' : ''}; ${cells.length} cells, then ${levels} levels of ${branches}`,
    ...Object.entries(files).map(
      ([file, { bytes, sha256 }]) => `${file.padEnd(14)}${count(bytes)} bytes, sha256 ${sha256}`,
    ),
    `reference     ${count(referenceTexts)} texts; in a cell ${count(sorted[0])} to ${count(sorted.at(-1))}, half of the cells hold up to ${count(sorted[sorted.length >> 1])}`,
    ...prefixes.map(
      ({ digits, used, disclosed }) =>
        `${digits} digits      ${count(used)} prefixes in use; disclosed by ${percent(disclosed.k20)} of the texts at k = 20, ${percent(disclosed.k50)} at k = 50`,
    ),
  ]
  return `${lines.join('\n')}\n`
}

function sum(counts: Uint32Array): number {
  return counts.reduce((total, value) => total + value, 0)
}

function count(value = 0): string {
  return value.toLocaleString('en')
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`
}
