/** How much two outcomes have to do with each other, by how alike their questions, models and domains are. Pure. */
import { rootLabel } from '../keyspace.ts'

/** Length scale of similarity; fitted, see docs/synthesis.md. */
export const TAU = 0.4

/** Of two questions of cosine `similarity`; 1 for the same. */
export function kernel(similarity: number): number {
  return Math.exp((similarity - 1) / TAU)
}

const STEPS = 2048
const table = Float64Array.from({ length: STEPS + 1 }, (_, step) => kernel(step / STEPS))

/** The same to within 0.1 %, for similarities from 0 to 1 in great numbers. */
export function kernelStep(similarity: number): number {
  return table[Math.max(0, Math.min(STEPS, (similarity * STEPS + 0.5) | 0))] as number
}

const SAME_FAMILY = 0.5
const OTHER_MODEL = 0.3

export interface Described {
  model: string
  family: string
  domain: string
}

/** Of two models: nested groups (model in family in all), so that it is a covariance. */
export function modelFactor(a: Described, b: Described): number {
  if (a.model === b.model) return 1
  return a.family === b.family ? SAME_FAMILY : OTHER_MODEL
}

const SAME_ROOT = 0.6
const OTHER_DOMAIN = 0.3

/** Of two domains: nested as well. */
export function domainFactor(a: string, b: string): number {
  if (a === b) return 1
  return rootLabel(a) === rootLabel(b) ? SAME_ROOT : OTHER_DOMAIN
}

const OTHER_STRATEGY = 0.7

/** Of what was done beside asking: other sources, another style of prompt. */
export function strategyFactor(a: string | undefined, b: string | undefined): number {
  return a === b ? 1 : OTHER_STRATEGY
}
