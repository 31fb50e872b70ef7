/** Which texts a space is made from: seeded, so that the same folder gives the same space. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export type Random = () => number

/** Numbers in [0, 1) by mulberry32: integer operations only, hence the same everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 0x100000000
  }
}

/** Fisher–Yates, in place. */
export function shuffle<T>(items: T[], random: Random): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const item = items[i] as T
    items[i] = items[j] as T
    items[j] = item
  }
  return items
}

/** The distinct lines of every .txt file of a folder, file by file, shuffled within each. */
export async function readCorpus(folder: string, random: Random): Promise<string[][]> {
  const names = (await readdir(folder)).filter(name => name.endsWith('.txt')).sort()
  const seen = new Set<string>()
  const files: string[][] = []
  for (const name of names) {
    const lines = (await readFile(join(folder, name), 'utf8')).split('\n')
    const fresh = lines.filter(line => line !== '' && !seen.has(line) && seen.add(line))
    files.push(shuffle(fresh, random))
  }
  return files
}

/** At most `limit` texts, as evenly from all files as their sizes allow, shuffled together. */
export function balancedSample(files: readonly string[][], limit: number, random: Random): string[] {
  const bySize = files.toSorted((a, b) => a.length - b.length)
  const sample: string[] = []
  bySize.forEach((file, index) => {
    const share = Math.floor((limit - sample.length) / (bySize.length - index))
    sample.push(...file.slice(0, share))
  })
  return shuffle(sample, random)
}
