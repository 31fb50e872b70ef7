/** How much two outcomes have to do with each other, by how alike their questions, models and domains are. Pure. */
import { rootLabel } from '../keyspace.ts'

/** What the estimator takes for granted of outcomes anywhere; `npm run fit:estimator` says how well it fits a table. */
export interface Hyperparameters {
  /** Length scale of similarity. */
  lengthScale: number
  /** Variance of what is shared between questions, where that of one outcome's own luck is 1. */
  amplitude: number
  /** How alike the rest of two codes is that both lie near a question, in one cell and in two. */
  sameCell: number
  otherCell: number
  /** Variance of what all of one peer's outcomes may have in common, whatever the question; all strangers count as one peer. */
  peerBias: number
  /** The same of each stranger by itself. */
  strangerBias: number
  /** How much other models' outcomes have to do with a model's, and those of its family. */
  otherModel: number
  sameFamily: number
  /** The same of domains, and of domains under one root. */
  otherDomain: number
  sameRoot: number
}

/** See docs/synthesis.md for what they were fitted on. */
export const FITTED: Readonly<Hyperparameters> = {
  lengthScale: 0.4,
  amplitude: 1,
  sameCell: 0.6,
  otherCell: 0.4,
  peerBias: 0.15,
  strangerBias: 0.15,
  otherModel: 0.5,
  sameFamily: 0.6,
  otherDomain: 0.3,
  sameRoot: 0.6,
}

/** Of two questions of cosine `similarity`; 1 for the same. */
export function kernel(similarity: number, { lengthScale } = FITTED): number {
  return Math.exp((similarity - 1) / lengthScale)
}

const STEPS = 2048
const tables = new WeakMap<Readonly<Hyperparameters>, Float64Array>()

/** The same to within 0.1 %, for similarities from 0 to 1 in great numbers: by `stepOf` of one. */
export function kernelSteps(fitted: Readonly<Hyperparameters>): Float64Array {
  let table = tables.get(fitted)
  if (!table) {
    table = Float64Array.from({ length: STEPS + 1 }, (_, step) => kernel(step / STEPS, fitted))
    tables.set(fitted, table)
  }
  return table
}

export function stepOf(similarity: number): number {
  return Math.max(0, Math.min(STEPS, (similarity * STEPS + 0.5) | 0))
}

export interface Described {
  model: string
  family: string
  domain: string
}

/** Of two models: nested groups (model in family in all), so that it is a covariance. */
export function modelFactor(a: Described, b: Described, { sameFamily, otherModel } = FITTED): number {
  if (a.model === b.model) return 1
  return a.family === b.family ? sameFamily : otherModel
}

/** Of two domains: nested as well. */
export function domainFactor(a: string, b: string, { sameRoot, otherDomain } = FITTED): number {
  if (a === b) return 1
  return rootLabel(a) === rootLabel(b) ? sameRoot : otherDomain
}

const OTHER_STRATEGY = 0.7

/** Of what was done beside asking: other sources, another style of prompt. */
export function strategyFactor(a: string | undefined, b: string | undefined): number {
  return a === b ? 1 : OTHER_STRATEGY
}
