/** What the sidecar itself changes of a request, where the operator lets it and the client asks for it: nothing else does. */

import { operationOf } from './observe/operation.ts'
import { addInstruction } from './query/instruction.ts'
import { replaceModel } from './query/model.ts'
import type { Refinement } from './refine/refining.ts'
import type { Route } from './routing/routing.ts'

/** Undefined where nothing is to be changed. */
export interface Steered {
  route: Route | undefined
  refinement: Refinement | undefined
}

export function steeredBody(url: string, body: Buffer, { route, refinement }: Steered): Buffer {
  const routed = route ? replaceModel(body, route.chosen.name) : body
  if (!refinement?.treated) return routed
  return addInstruction(operationOf(url), routed, refinement.instruction)
}

/** What a dry run answers. */
export function describeRoute({ policy, chosen, reason, considered }: Route, domain: string | undefined): object {
  return {
    object: 'qis.route',
    model: chosen.name,
    policy,
    reason,
    domain: domain ?? null,
    candidates: considered.map(({ name, price, available, insight, score }) => ({
      model: name,
      price,
      available,
      expected: insight ? round(insight.prospect.expected) : null,
      deviation: insight ? round(insight.prospect.deviation) : null,
      evidence: insight?.grade ?? 'none',
      score: score === undefined ? null : round(score),
    })),
  }
}

/** The same for a header. */
export function summariseRoute({ considered }: Route): string {
  return considered
    .map(({ name, insight, score, available }) => {
      const { expected, deviation } = insight?.prospect ?? {}
      const numbers =
        expected !== undefined && deviation !== undefined && score !== undefined
          ? `=${expected.toFixed(2)}~${deviation.toFixed(2)}:${score.toFixed(2)}`
          : ''
      return `${name}${numbers}${available ? '' : ' (away)'}`
    })
    .join(', ')
}

export function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
