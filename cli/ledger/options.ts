/** What can be said of the answer that `qis ledger --dry-run` is about. */

export const DRY_RUN_OPTIONS = {
  rating: { type: 'string' },
  score: { type: 'string' },
  domain: { type: 'string' },
  model: { type: 'string' },
  correction: { type: 'string' },
  strategy: { type: 'string' },
  'self-confidence': { type: 'string' },
  embedder: { type: 'string' },
  'embedder-model': { type: 'string' },
  space: { type: 'string' },
} as const

export type DryRunValues = { [K in keyof typeof DRY_RUN_OPTIONS]?: string | undefined } & { json: boolean }
