/** The composition root: builds every part from the configuration, and disposes of them in reverse. */

import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { loadIdentity } from '../router/identity.ts'
import { createLibp2pNetwork } from '../router/network/libp2p.ts'
import { createThreadedNetwork } from '../router/network/threaded.ts'
import { createRouter, type Router } from '../router/router.ts'
import { type Database, openDatabase, type Schema } from '../router/store/database.ts'
import { createSqliteStore, routerSchema } from '../router/store/sqlite.ts'
import { createAccess } from './access/access.ts'
import { createAdviser } from './advise.ts'
import { createAfterwards } from './afterwards.ts'
import { answerSchema, createAnswerIndex } from './answer-index.ts'
import { createApp } from './app.ts'
import { createCallers } from './callers.ts'
import { openCapture } from './capture-file.ts'
import { type Config, ConfigInvalidError } from './config.ts'
import { createHistory } from './dashboard/history.ts'
import { createTopics } from './dashboard/topics.ts'
import { readDomainRules } from './domain/rules.ts'
import { createDomains } from './domain.ts'
import { createEmbedding } from './embedding.ts'
import { createFeedback } from './feedback/feedback.ts'
import { createFeedbackStore, feedbackSchema } from './feedback/store.ts'
import { createImplicit } from './implicit/implicit.ts'
import { isInsight } from './insight-headers.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { createResponseObserver } from './observe-response.ts'
import { createApiDescription } from './openapi.ts'
import { createOperations } from './operations.ts'
import { loadReceiptKeys } from './receipt-keys.ts'
import { createReceipts } from './receipts.ts'
import { createRefining, type Refining } from './refine/refining.ts'
import { readTemplates } from './refine/templates.ts'
import { createTrials, refineSchema, type Trials } from './refine/trials.ts'
import { readPolicies } from './routing/policies.ts'
import { createRouting } from './routing/routing.ts'
import { sharingOptions } from './sharing.ts'
import { createStatus } from './status.ts'
import { openSwarmAccess } from './swarm-access.ts'
import { createTelemetry, type Telemetry } from './telemetry.ts'
import { createUpstreamAgents, createUpstreamClient, readTlsFiles, type TlsOptions } from './upstream/client.ts'
import { createTunnel } from './upstream/tunnel.ts'
import { createUpstreams, type UpstreamEntry } from './upstream/upstreams.ts'
import { createAdviceEndpoint } from './uses/advise.ts'
import { createRerankEndpoint } from './uses/rerank.ts'

export interface Sidecar extends AsyncDisposable {
  readonly data: FastifyInstance
  readonly admin: FastifyInstance
  readonly router: Router
  /** From now on `/readyz` says no. */
  stopAccepting(): void
  /** Breaks off what is still under way. */
  cut(): void
}

/** The tables of all parts, in the one file. */
export const schemas: readonly Schema[] = [routerSchema, answerSchema, feedbackSchema, refineSchema]

/**
 * @param entries the LLM servers, already found
 * @throws errors with a `code`, each naming the file or setting at fault; nothing is left open then
 */
export async function createSidecar(
  config: Config,
  entries: readonly UpstreamEntry[],
  logger: FastifyBaseLogger,
): Promise<Sidecar> {
  await using parts = new AsyncDisposableStack()
  await mkdir(config.dataDir, { recursive: true })

  const identity = await loadIdentity(join(config.dataDir, 'identity.key'))
  const receiptKeys = await loadReceiptKeys(join(config.dataDir, 'receipt.key'))
  const { embedder, space } = await createEmbedding(config, logger.child({ part: 'embeddings' }))
  parts.use(embedder)
  const database = parts.use(
    await openDatabase({
      file: join(config.dataDir, 'qis.db'),
      schemas,
      durability: config.durability,
    }),
  )
  const domainRules = config.domainsFile === undefined ? undefined : await readDomainRules(config.domainsFile)
  const metrics = createMetrics()
  const capture = config.capture === undefined ? undefined : parts.use(await openCapture(config.capture))
  const membership = parts.use(
    await openSwarmAccess(
      { logger: logger.child({ part: 'network' }) },
      {
        folder: config.swarm ?? join(config.dataDir, 'swarm'),
        mustBeClosed: config.swarm !== undefined,
        bootstrap: config.bootstrap,
      },
    ),
  )
  const network = (config.p2pThread ? createThreadedNetwork : createLibp2pNetwork)(
    { privateKey: identity.privateKey, logger: logger.child({ part: 'network' }), observer: metrics },
    {
      ...membership.current(),
      listen: config.p2pListen,
      announce: config.p2pAnnounce,
      relays: config.relays,
      mdns: config.mdns,
      dhtMode: config.dht,
      addressBook: join(config.dataDir, 'peers.txt'),
      ...(capture && { capture: capture.write }),
    },
  )
  const router = createRouter(
    {
      space,
      store: createSqliteStore(database),
      network,
      identity,
      observer: metrics,
      admits: membership.admits,
      logger: logger.child({ part: 'router' }),
    },
    { ...sharingOptions(config, Object.keys(domainRules?.domains ?? {})), estimator: config.estimator },
  )
  parts.defer(() => router.stop())
  metrics.watchDatabase(() => sizeOf(join(config.dataDir, 'qis.db')))
  metrics.watchSwarm(() => {
    const { peers, keys, evidence } = router.status()
    return { peers: peers.length, cells: keys, evidence }
  })
  metrics.watchReliability(() => router.reliability().all)
  const answers = parts.use(
    createAnswerIndex(
      {
        database,
        onError(error) {
          metrics.indexFailed()
          logger.warn({ err: error }, 'answers could not be indexed; their receipts still work')
        },
      },
      { lifetimeS: config.receiptLifetimeS },
    ),
  )
  const telemetry = await startTelemetry(config, logger)
  if (telemetry) parts.use(telemetry)
  const refinement = await createRefinement(config, { database, router, metrics, logger })
  if (refinement) parts.use(refinement.trials)
  metrics.watchTrials(() => refinement?.trials.list() ?? [])
  const receipts = createReceipts(receiptKeys, { lifetimeS: config.receiptLifetimeS })
  const feedback = parts.use(
    createFeedback(
      {
        answers,
        receipts,
        router,
        store: createFeedbackStore(database),
        logger: logger.child({ part: 'feedback' }),
        onTaken: metrics.feedbackTaken,
        telemetry,
        onStanding: async ({ trial, ...answer }, signal) =>
          trial && refinement?.trials.judged({ ...answer, trial }, signal),
      },
      { keepCorrections: config.keepCorrections },
    ),
  )
  const callers = createCallers()
  const implicit = createImplicit({ feedback, logger: logger.child({ part: 'feedback' }) }, { rules: config.implicit })
  const afterwards = createAfterwards({ answers, callers, implicit })
  const domains = parts.use(
    await createDomains(
      { embedder, mean: space.mean, logger: logger.child({ part: 'domains' }), onFound: metrics.domainFound },
      domainRules,
    ),
  )
  const tls = readTls(config)
  const agents = parts.use(createUpstreamAgents({ ...config, tls }))
  const upstreams = parts.use(createUpstreams({ dispatcher: agents.agent }, entries))
  metrics.watchUpstreams(upstreams.status)
  const client = createUpstreamClient(agents, upstreams)
  const policies = config.route.length > 0 ? await readPolicies(config) : undefined
  const routing = policies && createRouting({ policies, available: upstreams.available, onRouted: metrics.routed })
  const adviser = createAdviser(
    { embedder, router, domains, logger, routing, refining: refinement?.refining, onEmbedded: metrics.embedded },
    { deadlineMs: config.adviceDeadlineMs },
  )
  const observer = createResponseObserver({
    onError: error => logger.warn({ err: error }, 'an answer passed without being observed'),
  })
  const tunnel = createTunnel({
    origin: url => upstreams.choose(modelInUrl(url))[0] ?? '',
    handshakeTimeoutMs: config.connectTimeoutMs,
    tls,
    isOurs: isInsight,
  })

  const access = createAccess(config, { logger })
  const advice = createAdviceEndpoint({ embedder, router, domains }, { models: config.route.map(({ name }) => name) })
  const api = createApiDescription()
  let ready = true
  const data = createApp(
    {
      client,
      upstreams,
      dispatcher: agents.agent,
      tunnel,
      adviser,
      answers,
      afterwards,
      receipts,
      callers,
      feedback,
      advice,
      rerank: createRerankEndpoint(
        { embedder, mean: space.mean, router, domains, onReranked: metrics.reranked },
        { deadlineMs: config.rerankDeadlineMs },
      ),
      metrics,
      observer,
      access,
      api,
      logger,
    },
    { ...config, listed: config.routeList && routing ? routing.models : [] },
  )
  parts.defer(() => {
    tunnel.cut()
    return data.close()
  })
  const admin = createOperations(
    {
      router,
      status: createStatus({ router, upstreams, metrics, membership, embedder }, config),
      metrics,
      history: parts.use(createHistory(metrics)),
      topics: createTopics({ embedder, space }),
      answers,
      feedback,
      callers,
      advice,
      access,
      api,
      logger,
      ready: () => ready,
    },
    config,
  )
  parts.defer(() => admin.close())

  await router.start()
  membership.watch(async changed => {
    await router.forgetStrangers()
    await network.reconfigure(changed)
  })
  await feedback.start()
  const kept = parts.move()
  return {
    data,
    admin,
    router,
    stopAccepting() {
      ready = false
    },
    cut() {
      data.server.closeAllConnections()
      tunnel.cut()
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** Undefined where the operator has not asked for it. */
async function createRefinement(
  config: Config,
  components: { database: Database; router: Router; metrics: Metrics; logger: FastifyBaseLogger },
): Promise<{ refining: Refining; trials: Trials } | undefined> {
  if (!config.refine) return undefined
  const { database, router, metrics, logger } = components
  const templates = await readTemplates(config.refineTemplates)
  const onError = (error: unknown) =>
    logger.warn({ err: error }, 'trials of refined prompts could not be brought up to date')
  const trials = createTrials({ database, onError })
  await trials.start()
  const refining = createRefining(
    { router, templates, trials, onConsidered: metrics.refinable },
    { domains: config.refineDomains, threshold: config.refineThreshold, holdout: config.refineHoldout },
  )
  return { refining, trials }
}

/** `/v1/realtime?model=…` */
function modelInUrl(url: string): string | undefined {
  return URL.parse(url, 'http://localhost')?.searchParams.get('model') ?? undefined
}

function readTls({ upstreamCa, upstreamCert, upstreamKey }: Config): TlsOptions {
  try {
    return readTlsFiles({ ca: upstreamCa, cert: upstreamCert, key: upstreamKey })
  } catch (cause) {
    const { path, code } = cause as NodeJS.ErrnoException
    throw new ConfigInvalidError(`${path} cannot be read (${code}); see QIS_UPSTREAM_CA, _CERT and _KEY`, { cause })
  }
}

async function startTelemetry({ otlpEndpoint }: Config, logger: FastifyBaseLogger): Promise<Telemetry | undefined> {
  if (otlpEndpoint === undefined) return undefined
  try {
    return await createTelemetry({ endpoint: otlpEndpoint })
  } catch (error) {
    logger.warn(
      { err: error },
      'OTEL_EXPORTER_OTLP_ENDPOINT is set, but its exporter cannot be loaded; feedback is taken without it',
    )
    return undefined
  }
}

/** Of a database with its log, bytes; 0 for what is not there, as the log just after a checkpoint. */
async function sizeOf(file: string): Promise<number> {
  const sizes = await Promise.all(
    [file, `${file}-wal`].map(path =>
      stat(path).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
