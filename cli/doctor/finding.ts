/** What one look at a set-up found, in words for the operator. */

export interface Finding {
  /** What was looked at: `settings`, `upstream`, … */
  check: string
  /** `fault`: it does not work so; `warning`: it works, and probably not as meant. */
  state: 'ok' | 'warning' | 'fault'
  found: string
  /** What to do about it. */
  remedy?: string
}

/** Findings of one check. */
export function about(check: string) {
  return {
    ok: (found: string): Finding => ({ check, state: 'ok', found }),
    warning: (found: string, remedy: string): Finding => ({ check, state: 'warning', found, remedy }),
    fault: (found: string, remedy: string): Finding => ({ check, state: 'fault', found, remedy }),
    /** From an error of the program's own, whose message says what to do as well. */
    failed(error: unknown): Finding {
      if (!(error instanceof Error && 'code' in error)) throw error
      return { check, state: 'fault', found: error.message }
    },
  }
}
