/**
 * Feedback under load and under `kill -9`: how much a second, and whether anything that was acknowledged is ever lost or
 * counted twice. `npm run bench:feedback -- --json`
 */
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type SidecarProcess, startSidecar } from '../demo/sidecar-process.ts'
import { startUpstream } from '../test/support/upstream.ts'
import { readArguments } from './arguments.ts'
import { type Answer, createFeedbackClient, type FeedbackClient, type Rating } from './feedback/client.ts'
import { audit } from './feedback/kept.ts'
import { readQuestions } from './proxy/questions.ts'

const values = readArguments(import.meta.filename, {
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
  kills: { type: 'string', default: '200', help: 'how often the sidecar is killed' },
  batch: { type: 'string', default: '100', help: 'ratings in one request' },
  ratings: { type: 'string', default: '30000', help: 'distinct answers rated for the figures of speed' },
  durability: { type: 'string', default: 'normal', help: 'of QIS_DURABILITY: normal or full' },
})
const say = values.json ? () => undefined : (line: string) => console.log(line)
const batch = Number(values.batch)
const kills = Number(values.kills)
/** Requests under way at a time; a batch is many ratings already. */
const AT_ONCE = batch > 1 ? 4 : 32
/** Answers that are rated again and again between kills. Each mind changes far fewer than the 254 times that count. */
const CONTESTED = 20_000
const MAX_LIFE_MS = 250

await using parts = new AsyncDisposableStack()
const upstream = parts.use(await startUpstream({ keepBytes: 0 }))
const question = readQuestions()

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'qis-feedback-'))
  parts.defer(() => rm(folder, { recursive: true, force: true }))
  return folder
}

function start(folder: string): Promise<SidecarProcess> {
  return startSidecar({
    QIS_UPSTREAM: upstream.url,
    QIS_DATA: folder,
    QIS_DURABILITY: values.durability,
    // What the sidecar makes of answers by itself was never acknowledged to anybody.
    QIS_IMPLICIT: 'off',
    QIS_RATE_LIMIT: '0',
  })
}

async function askFor(client: FeedbackClient, count: number): Promise<Answer[]> {
  const answers: Answer[] = []
  while (answers.length < count) {
    const asked = answers.length
    const some = Math.min(2_000, count - asked)
    answers.push(...(await client.ask(some, (seed, chars) => question(asked + seed, chars))))
    upstream.forget()
  }
  return answers
}

function otherThan(rating: Rating | undefined): Rating {
  return rating === 'up' ? 'down' : 'up'
}

async function residentMb({ child }: SidecarProcess): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024)
}

/** Rates each answer once, as fast as is acknowledged. */
async function speed() {
  await using sidecar = await start(await newFolder())
  await using client = createFeedbackClient(sidecar.data, AT_ONCE)
  const answers = await askFor(client, Number(values.ratings))
  const times: number[] = []
  let next = 0
  const begun = performance.now()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < answers.length) {
        const some = answers.slice(next, next + batch)
        next += some.length
        const sentAt = performance.now()
        const statuses = await client.rate(
          some,
          some.map(() => 'up'),
        )
        times.push(performance.now() - sentAt)
        if (statuses.some(status => status !== 'accepted')) throw new Error(`not accepted: ${statuses}`)
      }
    }),
  )
  const seconds = (performance.now() - begun) / 1000
  times.sort((a, b) => a - b)
  const at = (q: number) => Number((times[Math.floor(q * (times.length - 1))] ?? Number.NaN).toFixed(1))
  return {
    feedback_per_s: Math.round(answers.length / seconds),
    p50_ms: at(0.5),
    p99_ms: at(0.99),
    rss_mb: await residentMb(sidecar),
  }
}

/** Rates until the sidecar is killed. Resolves to how many ratings were acknowledged. */
async function rateUntilDeath(sidecar: SidecarProcess, answers: readonly Answer[]): Promise<number> {
  await using client = createFeedbackClient(sidecar.data, AT_ONCE)
  const exited = once(sidecar.child, 'exit')
  let acked = 0
  let next = Math.floor(Math.random() * answers.length)
  let alive = true
  const { promise: underWay, resolve: beUnderWay } = Promise.withResolvers<void>()
  const worker = async () => {
    while (alive) {
      // No answer is in two requests at a time: it comes up again long after it was acknowledged.
      const some = Array.from({ length: batch }, () => answers[next++ % answers.length] as Answer)
      const ratings = some.map(({ possible }) => otherThan(possible.at(-1)))
      some.forEach(({ possible }, at) => {
        possible.push(ratings[at])
      })
      const statuses = await client.rate(some, ratings).catch((error: Error) => {
        if (alive) throw error
        return []
      })
      statuses.forEach((_, at) => {
        const answer = some[at] as Answer
        answer.acked = true
        answer.possible = [ratings[at]]
      })
      acked += statuses.length
      beUnderWay()
    }
  }
  const load = Promise.all(Array.from({ length: AT_ONCE }, worker))
  // One in ten dies at its first feedback, or before.
  if (Math.random() > 0.1) await Promise.race([load, underWay])
  await Promise.race([load, wait(Math.random() * MAX_LIFE_MS)])
  alive = false
  sidecar.child.kill('SIGKILL')
  await Promise.all([exited, load])
  return acked
}

async function killing() {
  const folder = await newFolder()
  let answers: Answer[]
  {
    await using sidecar = await start(folder)
    await using client = createFeedbackClient(sidecar.data, 32)
    answers = await askFor(client, CONTESTED)
  }
  const sum = { acked: 0, lost: 0, surplus: 0, unsound: 0 }
  for (let kill = 1; kill <= kills; kill++) {
    await using sidecar = await start(folder)
    sum.acked += await rateUntilDeath(sidecar, answers)
    const { lost, surplus, sound } = await audit(folder, answers)
    sum.lost += lost
    sum.surplus += surplus
    if (!sound) sum.unsound += 1
    if (kill % 10 === 0) say(`after ${kill} kills: ${JSON.stringify(sum)}`)
  }
  return sum
}

const fast = await speed()
say(JSON.stringify(fast))
const { acked, lost, surplus, unsound } = await killing()
console.log(
  JSON.stringify({
    acked,
    lost,
    kills,
    counted_twice: surplus,
    unsound_databases: unsound,
    batch,
    requests_at_once: AT_ONCE,
    durability: values.durability,
    ...fast,
  }),
)
process.exitCode = lost + surplus + unsound === 0 ? 0 : 1
