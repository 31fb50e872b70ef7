/** The loop, end to end: three deployments, one of which learns the hard way, and another that profits. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { createPracticeModel } from '../proxy/practice/server.ts'
import { findWords, readCapture, wordsOf } from './leak-scan.ts'
import { type SidecarProcess, startSidecar } from './sidecar-process.ts'

const MODEL = 'qis-practice'

/** The practice model makes doses up, and knows its capitals. */
const SIMILAR = 'How much ibuprofen may an adult take per day?'
const UNRELATED = 'What is the capital city of Portugal?'
const DOSES = [
  'How much ibuprofen may an adult take in a day?',
  'What is the maximum dose of ibuprofen an adult may take per day?',
  'How much ibuprofen per day is safe for an adult?',
]
const MORE_DOSES = [
  'May an adult take more than three ibuprofen tablets per day?',
  'What is the highest daily dose of ibuprofen for an adult?',
  'How much ibuprofen can an adult safely take in one day?',
]
const CAPITALS = [
  'What is the capital city of Spain?',
  'What is the capital of Portugal?',
  'Which city is the capital city of France?',
]
const CORRECTION = 'The leaflet says otherwise: never more than twelve hundred milligrams without a prescription.'

const RISE_DEADLINE_MS = 15_000
const FALL_DEADLINE_MS = 15_000
const FALL = 0.05
const POLL_MS = 50
const PHRASE_CHARS = 24

interface Site {
  name: string
  sidecar: SidecarProcess
  client: OpenAI
  dataDir: string
  capture: string
}

async function startSite(name: string, folder: string, upstream: string, bootstrap: readonly string[]): Promise<Site> {
  const dataDir = join(folder, name)
  const capture = join(folder, `${name}.capture`)
  const sidecar = await startSidecar({
    QIS_UPSTREAM: upstream,
    QIS_DATA: dataDir,
    // The search for leaks must find its words where they belong.
    QIS_KEEP_CORRECTIONS: 'on',
    QIS_CAPTURE: capture,
    // Everything leaves at once and in full detail, as in a lab; a real site keeps the default.
    QIS_PROFILE: 'open',
    // The same questions are asked twice to compare; nobody shall conclude anything from that.
    QIS_IMPLICIT: 'off',
    QIS_BOOTSTRAP: bootstrap.join(','),
  })
  const client = new OpenAI({ baseURL: `${sidecar.data}/v1`, apiKey: 'none', maxRetries: 0 })
  return { name, sidecar, client, dataDir, capture }
}

/** Asks through the proxy, with the official client. */
async function ask({ client }: Site, question: string) {
  const { data, response } = await client.chat.completions
    .create({ model: MODEL, messages: [{ role: 'user', content: question }] })
    .withResponse()
  const confidence = response.headers.get('x-qis-confidence')
  return {
    answer: data.choices[0]?.message.content ?? '',
    requestId: response.headers.get('x-qis-request-id') ?? '',
    confidence: confidence === null ? undefined : Number(confidence),
  }
}

async function rate({ sidecar }: Site, requestId: string, opinion: object): Promise<void> {
  const response = await fetch(`${sidecar.data}/qis/feedback`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ request_id: requestId, ...opinion }),
  })
  if (response.status !== 202) throw new Error(`feedback was refused: ${response.status} ${await response.text()}`)
}

/** Asks again until the answer's confidence is as wanted, or the deadline has passed; gives the last confidence seen. */
async function askUntil(site: Site, question: string, wanted: (confidence: number | undefined) => boolean, ms: number) {
  const deadline = performance.now() + ms
  for (;;) {
    const { confidence } = await ask(site, question)
    if (wanted(confidence) || performance.now() > deadline) return confidence
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}

const known = (confidence: number | undefined) => confidence !== undefined

interface LedgerLine {
  payload: string
  bytes: number
  recipients: number
}

async function ledger({ sidecar }: Site): Promise<LedgerLine[]> {
  const response = await fetch(`${sidecar.admin}/qis/ledger`)
  return ((await response.json()) as { entries: LedgerLine[] }).entries
}

/** Query words in anything that crossed the network, and in the databases of those who only received. */
async function scan(sites: readonly Site[], receivers: readonly Site[], words: Set<string>) {
  const traffic = await Promise.all(sites.map(site => readCapture(site.capture)))
  const databases = await Promise.all(receivers.map(databaseBytes))
  const places = [...traffic.flatMap(({ in: received, out }) => [received, out]), ...databases]
  return {
    bytes: places.reduce((sum, bytes) => sum + bytes.length, 0),
    leaks: places.flatMap(bytes => findWords(bytes, words)),
  }
}

async function databaseBytes({ dataDir }: Site): Promise<Buffer> {
  const files = (await readdir(dataDir)).filter(name => name.startsWith('qis.db'))
  return Buffer.concat(await Promise.all(files.map(name => readFile(join(dataDir, name)))))
}

async function main(): Promise<void> {
  const say = process.argv.includes('--json') ? () => undefined : (line = '') => console.log(line)
  const folder = await mkdtemp(join(tmpdir(), 'qis-demo-'))
  await using cleanup = new AsyncDisposableStack()
  cleanup.defer(() => rm(folder, { recursive: true, force: true }))

  say('Starting three deployments, each with its own model server, database and key ...')
  const sites: Site[] = []
  for (const name of ['A', 'B', 'C']) {
    const upstream = await cleanup.use(createPracticeModel()).listen()
    const site = await startSite(name, folder, upstream, sites[0]?.sidecar.addresses ?? [])
    cleanup.use(site.sidecar)
    sites.push(site)
  }
  const [a, b, c] = sites as [Site, Site, Site]

  say('B and C ask one question of each kind: from now on their peers can find them.')
  for (const site of [b, c]) for (const question of [SIMILAR, UNRELATED]) await ask(site, question)

  say('C trusts the model in both kinds and votes its answers up.')
  for (const question of [...DOSES, ...CAPITALS]) await rate(c, (await ask(c, question)).requestId, { rating: 'up' })
  const before = await askUntil(b, SIMILAR, known, RISE_DEADLINE_MS)
  const unrelatedBefore = await askUntil(b, UNRELATED, known, RISE_DEADLINE_MS)
  const cBefore = (await ask(c, SIMILAR)).confidence
  const cUnrelatedBefore = (await ask(c, UNRELATED)).confidence

  say('A finds out that the doses are made up, votes them down and corrects one.')
  const answers: string[] = []
  for (const [index, question] of [...DOSES, ...MORE_DOSES].entries()) {
    const { requestId, answer } = await ask(a, question)
    answers.push(answer)
    await rate(
      a,
      requestId,
      index === 0 ? { rating: 'down', correction: { type: 'factual', text: CORRECTION } } : { rating: 'down' },
    )
  }
  const posted = performance.now()
  const fallen = (confidence: number | undefined) => (confidence ?? 1) <= (before ?? 0) - FALL
  const after = await askUntil(b, SIMILAR, fallen, FALL_DEADLINE_MS)
  const seconds = (performance.now() - posted) / 1000
  const unrelatedAfter = (await ask(b, UNRELATED)).confidence
  const cAfter = (await ask(c, SIMILAR)).confidence
  const cUnrelatedAfter = (await ask(c, UNRELATED)).confidence

  const left = await ledger(a)
  const sizes = (await Promise.all(sites.map(ledger))).flat().map(({ bytes }) => bytes)
  for (const { sidecar } of sites) await sidecar[Symbol.asyncDispose]()

  // Words of what was asked and corrected; of the answers whole phrases, since the model's name does leave.
  const questions = [SIMILAR, UNRELATED, ...DOSES, ...MORE_DOSES, ...CAPITALS]
  const words = new Set([
    ...wordsOf([...questions, CORRECTION]),
    ...answers.map(answer => answer.slice(0, PHRASE_CHARS)),
  ])
  const { leaks, bytes } = await scan(sites, [b, c], words)
  // The same scanner must find the correction where it may stand: in A's own database.
  const control = findWords(await databaseBytes(a), wordsOf([CORRECTION])).length

  say()
  say('confidence                       before   after')
  const row = (label: string, was: number | undefined, is: number | undefined) =>
    say(`${label.padEnd(32)} ${(was?.toFixed(2) ?? '-').padStart(6)}  ${(is?.toFixed(2) ?? '-').padStart(6)}`)
  row('B  similar question', before, after)
  row('B  unrelated question', unrelatedBefore, unrelatedAfter)
  row('C  similar question', cBefore, cAfter)
  row('C  unrelated question', cUnrelatedBefore, cUnrelatedAfter)
  say()
  say(`What left A (${left.length} packets; the change reached B ${seconds.toFixed(2)} s after the last vote):`)
  for (const { payload, bytes, recipients } of left) say(`  ${bytes} bytes to ${recipients} peer(s)  ${payload}`)
  say()
  say(
    `Searched ${bytes} bytes of traffic and of B's and C's databases for ${words.size} words and phrases: ${leaks.length} found.`,
  )
  for (const { word, encoding } of leaks) say(`  ${word} (${encoding})`)
  say(`(The same search finds ${control} words of A's correction in A's own database, where it belongs.)`)
  say()

  const figures = {
    before: before ?? null,
    after: after ?? null,
    unrelated_before: unrelatedBefore ?? null,
    unrelated_after: unrelatedAfter ?? null,
    seconds: Number(seconds.toFixed(3)),
    packet_bytes_max: Math.max(...sizes),
    leaks: leaks.length,
  }
  console.log(JSON.stringify(figures))

  const fall = (before ?? 0) - (after ?? 1)
  const drift = Math.abs((unrelatedBefore ?? 0) - (unrelatedAfter ?? 1))
  const held = fall >= FALL && seconds <= 5 && drift < fall / 2 && figures.packet_bytes_max <= 512 && leaks.length === 0
  if (!held || control === 0) process.exitCode = 1
}

await main()
