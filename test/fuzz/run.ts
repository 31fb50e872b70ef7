/** Gives a target inputs for a while, and its old findings first. */
import { readFileSync } from 'node:fs'
import { configTarget } from './config.ts'
import { createDice } from './dice.ts'
import { framesTarget } from './frames.ts'
import { httpTarget } from './http.ts'
import { observerTarget } from './observer.ts'
import { packetTarget } from './packets.ts'
import { type Target, untyped } from './target.ts'

export const targets: Readonly<Record<string, () => Promise<Target<unknown>>>> = {
  http: () => untyped(httpTarget),
  frames: () => untyped(framesTarget),
  config: () => untyped(configTarget),
  observer: () => untyped(observerTarget),
  packets: () => untyped(packetTarget),
}

export interface Fault {
  input: unknown
  fault: string
}

export interface FuzzResult {
  inputs: number
  seed: number
  faults: Fault[]
}

const MAX_FAULTS = 20

export async function fuzz(name: string, { seconds, seed }: { seconds: number; seed: number }): Promise<FuzzResult> {
  const create = targets[name]
  if (!create) throw new Error(`there is no target ${name}; there are ${Object.keys(targets).join(', ')}`)
  await using target = await create()
  const dice = createDice(seed)
  const until = performance.now() + seconds * 1_000
  const faults: Fault[] = []
  let inputs = 0
  while (performance.now() < until && faults.length < MAX_FAULTS) {
    const input = target.make(dice)
    inputs++
    const fault = await examined(target, input)
    if (fault !== undefined) faults.push({ input, fault })
    // Others may have their turn, timers among them.
    if (inputs % 100 === 0) await new Promise(setImmediate)
  }
  return { inputs, seed, faults }
}

async function examined(target: Target<unknown>, input: unknown): Promise<string | undefined> {
  try {
    return await target.examine(input)
  } catch (error) {
    return `it rejected: ${error instanceof Error ? error.stack : String(error)}`
  }
}

interface Kept {
  target: string
  /** What was wrong with it once. */
  why: string
  input: unknown
}

/** Inputs that once found something, each as its target takes it. */
export const corpus = JSON.parse(
  readFileSync(new URL('../fixtures/fuzz-corpus.json', import.meta.url), 'utf8'),
) as readonly Kept[]

/** What is wrong with the kept inputs of a target; nothing, it is to be hoped. */
export async function replay(name: string): Promise<Fault[]> {
  const create = targets[name]
  if (!create) return []
  await using target = await create()
  const faults: Fault[] = []
  for (const { input } of corpus.filter(kept => kept.target === name)) {
    const fault = await examined(target, input)
    if (fault !== undefined) faults.push({ input, fault })
  }
  return faults
}
