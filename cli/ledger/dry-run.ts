/** `qis ledger --dry-run`: what would leave of an answer to a text, if it were rated. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import { type Config, readConfig } from '../../proxy/config.ts'
import { readDomainRules } from '../../proxy/domain/rules.ts'
import { DEFAULT_DOMAIN } from '../../proxy/domain.ts'
import { createEmbedding } from '../../proxy/embedding.ts'
import { declaredLabels, sharingOptions } from '../../proxy/sharing.ts'
import { createUpstreamAgents, readTlsFiles } from '../../proxy/upstream/client.ts'
import { findEntries } from '../../proxy/upstream/find.ts'
import { createKnownModels, type KnownModels } from '../../proxy/upstream/known-models.ts'
import { type DryRun, dryRun } from '../../router/dry-run.ts'
import { dotTable, encode, project, referenceTexts } from '../../router/fingerprint.ts'
import { modelVariant } from '../../router/model-variant.ts'
import { correctionTypes, DOMAIN_PATTERN, type Outcome, STRATEGY_PATTERN } from '../../router/outcome.ts'
import { type CommandIo, UsageError } from '../command.ts'
import { readChoice } from '../space/choice.ts'
import type { DryRunValues } from './options.ts'

/** Stands in for the name of an answer that does not exist. */
const NO_ANSWER = '0000000000000000'

export async function tryOut(
  text: string,
  values: DryRunValues,
  { out, err, env, signal }: CommandIo,
): Promise<number> {
  const said = readSaid(values)
  const config = readConfig(env)
  const rules = config.domainsFile === undefined ? undefined : await readDomainRules(config.domainsFile)
  const configured = Object.keys(rules?.domains ?? {})
  const { mode, domains } = sharingOptions(config, configured)
  const warn = (_details: unknown, message = '') => void err.write(`${message}\n`)
  const { embedder, 'embedder-model': model, space: named } = values
  const made = await createEmbedding(readChoice(env, { embedder, model, space: named }), {
    debug() {},
    info() {},
    warn,
  })
  await using _embedder = made.embedder
  const { space } = made

  const [vector] = await made.embedder.embed([text], { signal })
  if (!vector?.some(component => component !== 0)) {
    err.write('there is no word in this text that the embedder knows: nothing of it could leave\n')
    return 1
  }
  const code = encode(space, dotTable(space, project(space, vector)))
  const runs = await dryRun(
    { ...said, code },
    {
      space: space.id,
      referenceTexts: (of, digits) => referenceTexts(space, of, digits),
      key: await generateKeyPair('Ed25519'),
    },
    {
      domains,
      declared: declaredLabels(config, { domains: () => configured, model: await modelsOf(config) }),
      k: config.k,
    },
  )
  if (values.json) {
    for (const run of runs) out.write(`${JSON.stringify({ ...run, active: run.profile === config.profile, mode })}\n`)
    return 0
  }
  for (const run of runs) out.write(describe(run, run.profile === config.profile))
  if (mode !== 'share') out.write(`nothing leaves at all now, since QIS_MODE is ${mode}\n`)
  return 0
}

function describe(run: DryRun, active: boolean): string {
  const title = `${run.profile}${active ? ' (QIS_PROFILE)' : ''}`
  if (run.withheld) return `${title}: nothing, ${WHY[run.withheld]}\n`
  const { payload, bytes, topic, oneWithProbability, delay, otherwise = {} } = run
  const noise =
    oneWithProbability === undefined
      ? []
      : [`os is drawn once: 1 with a probability of ${oneWithProbability.toFixed(3)}, else 0`]
  const wait = delay && delay.atMost > 0 ? `after ${delay.mean} s on average, ${delay.atMost} s at most` : 'at once'
  const changes = Object.entries(otherwise).map(([label, told]) =>
    told === null
      ? `its ${label} is left out: it is none that may be told (QIS_SHARE_STRATEGIES)`
      : `its ${label} is told as ${told}`,
  )
  return `${[`${title}: ${bytes} bytes, ${wait}`, payload, `on ${topic}`, ...changes, ...noise].join('\n    ')}\n`
}

const WHY: Record<NonNullable<DryRun['withheld']>, string> = {
  rare: 'since too few reference texts are like it',
  domain: 'since its domain is not shared (QIS_SHARE_DOMAINS, QIS_PRIVATE_DOMAINS)',
  model: 'since its model is none that the LLM server lists, or that QIS_UPSTREAM names',
  guess: 'since it is a guess of a rule',
  unchanged: 'since it says nothing new',
}

/** As the sidecar would know them; a server that does not answer has none. */
async function modelsOf(config: Config): Promise<KnownModels['of']> {
  const entries = config.upstreams ?? (await findEntries())
  const tls = readTlsFiles({ ca: config.upstreamCa, cert: config.upstreamCert, key: config.upstreamKey })
  await using agents = createUpstreamAgents({ ...config, tls })
  await using known = createKnownModels(
    { dispatcher: agents.agent },
    { entries, configured: () => config.route.map(({ name }) => name) },
  )
  await known.settled()
  return known.of
}

function readSaid(values: DryRunValues): Omit<Outcome, 'code'> {
  const { rating = 'down', domain = DEFAULT_DOMAIN, strategy, score } = values
  if (rating !== 'up' && rating !== 'down') throw new UsageError('--rating must be up or down')
  const correction = correctionTypes.find(type => type === values.correction)
  if (values.correction !== undefined && !correction) {
    throw new UsageError(`--correction must be one of ${correctionTypes.join(', ')}`)
  }
  check('--domain', domain, DOMAIN_PATTERN)
  if (strategy !== undefined) check('--strategy', strategy, STRATEGY_PATTERN)
  const confidence =
    values['self-confidence'] === undefined ? undefined : share('--self-confidence', values['self-confidence'])
  return {
    answer: NO_ANSWER,
    domain,
    model: modelVariant(values.model ?? ''),
    signal: score === undefined ? Number(rating === 'up') : share('--score', score),
    ...(confidence !== undefined && { confidence }),
    ...(correction && { correction }),
    ...(strategy !== undefined && { strategy }),
    observer: 'h',
    intervention: 0,
    revision: 0,
    withdrawn: false,
    time: Math.floor(Date.now() / 1000),
  }
}

function check(name: string, text: string, pattern: string): void {
  if (!new RegExp(pattern).test(text)) throw new UsageError(`${name} must be like ${pattern}`)
}

function share(name: string, text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value <= 1)) throw new UsageError(`${name} must be a number from 0 to 1`)
  return value
}
