/** Remembers how answers turned out with an instruction and without, so that one that does not help is given up. */
import { type CorrectionType, correctionTypes } from '../../router/outcome.ts'
import type { Database, Schema } from '../../router/store/database.ts'
import { type Arm, judgeTrial, type Verdict } from '../../router/synthesis/trial.ts'

export interface Trial extends Verdict {
  type: CorrectionType
  domain: string
  treated: Readonly<Arm>
  held: Readonly<Arm>
}

/** Of an answer that could have been given an instruction: which, and whether it was. */
export interface TrialMark {
  type: CorrectionType
  treated: boolean
}

export interface Trials extends Disposable {
  /** Takes up what earlier runs have seen. */
  start(): Promise<void>
  /** Undefined when it is not running yet and there are too many already. */
  of(type: CorrectionType, domain: string): Trial | undefined
  /** What stands of an answer now, 0..1; undefined when that was taken back. Resolves when it is durable. */
  judged(answer: { requestId: string; domain: string; trial: TrialMark }, signal: number | undefined): Promise<void>
  list(): Trial[]
}

export const refineSchema: Schema = {
  part: 'refine',
  migrations: [
    `CREATE TABLE refine_outcomes (
       request_id TEXT PRIMARY KEY, type TEXT NOT NULL, domain TEXT NOT NULL, treated INTEGER NOT NULL,
       signal REAL NOT NULL, time INTEGER NOT NULL
     ) STRICT;`,
  ],
}

const DAY_S = 24 * 3600

export interface TrialsOptions {
  /** Seconds after which an outcome is forgotten, and what was given up may be tried anew. @default 90 days */
  lifetimeS?: number
  /** @default 100000 */
  maxRows?: number
  /** Pairs of type and domain. @default 1000 */
  maxTrials?: number
}

export function createTrials(
  { database, onError, clock = Date.now }: { database: Database; onError(error: unknown): void; clock?: () => number },
  { lifetimeS = 90 * DAY_S, maxRows = 100_000, maxTrials = 1_000 }: TrialsOptions = {},
): Trials {
  const now = () => Math.floor(clock() / 1000)
  const arms = new Map<string, { treated: Arm; held: Arm }>()

  function armOf({ type, treated }: TrialMark, domain: string): Arm | undefined {
    const key = `${type}/${domain}`
    const held = arms.get(key) ?? { treated: { n: 0, good: 0 }, held: { n: 0, good: 0 } }
    if (!arms.has(key)) {
      if (arms.size >= maxTrials) return undefined
      arms.set(key, held)
    }
    return treated ? held.treated : held.held
  }

  function trialOf(type: CorrectionType, domain: string): Trial | undefined {
    const both = arms.get(`${type}/${domain}`)
    if (!both && arms.size >= maxTrials) return undefined
    const { treated, held } = both ?? { treated: { n: 0, good: 0 }, held: { n: 0, good: 0 } }
    return { type, domain, treated, held, ...judgeTrial(treated, held) }
  }

  async function load(): Promise<void> {
    await database.write([{ sql: 'DELETE FROM refine_outcomes WHERE time < ?', params: [now() - lifetimeS] }])
    const rows = await database.all(
      'SELECT type, domain, treated, count(*) AS n, sum(signal) AS good FROM refine_outcomes GROUP BY type, domain, treated',
    )
    arms.clear()
    for (const row of rows) {
      const type = correctionTypes.find(one => one === row.type)
      const arm = type && armOf({ type, treated: row.treated === 1 }, String(row.domain))
      if (arm) Object.assign(arm, { n: Number(row.n), good: Number(row.good) })
    }
  }
  const sweep = setInterval(() => void load().catch(onError), DAY_S * 1000).unref()

  return {
    start: load,
    of: trialOf,
    async judged({ requestId, domain, trial }, signal) {
      const [known] = await database.all('SELECT signal FROM refine_outcomes WHERE request_id = ?', [requestId])
      await database.write([
        signal === undefined
          ? { sql: 'DELETE FROM refine_outcomes WHERE request_id = ?', params: [requestId] }
          : {
              sql: 'INSERT OR REPLACE INTO refine_outcomes (request_id, type, domain, treated, signal, time) VALUES (?, ?, ?, ?, ?, ?)',
              params: [requestId, trial.type, domain, trial.treated ? 1 : 0, signal, now()],
            },
        {
          sql: 'DELETE FROM refine_outcomes WHERE rowid <= (SELECT max(rowid) FROM refine_outcomes) - ?',
          params: [maxRows],
        },
      ])
      const arm = armOf(trial, domain)
      if (!arm) return
      arm.n += (signal === undefined ? 0 : 1) - (known ? 1 : 0)
      arm.good += (signal ?? 0) - (known ? Number(known.signal) : 0)
    },
    list: () =>
      [...arms.keys()].flatMap(key => {
        const slash = key.indexOf('/')
        return trialOf(key.slice(0, slash) as CorrectionType, key.slice(slash + 1)) ?? []
      }),
    [Symbol.dispose]: () => clearInterval(sweep),
  }
}
