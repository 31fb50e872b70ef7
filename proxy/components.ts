/** The composition root: builds every part from the configuration, and disposes of them in reverse. */

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { loadIdentity } from '../router/identity.ts'
import { labelsUnder } from '../router/labels.ts'
import { createLibp2pNetwork } from '../router/network/libp2p.ts'
import { createThreadedNetwork } from '../router/network/threaded.ts'
import { makePrivateFolder } from '../router/private-file.ts'
import { createRouter, type Router } from '../router/router.ts'
import { openDatabase, type Schema } from '../router/store/database.ts'
import { createSqliteStore, routerSchema } from '../router/store/sqlite.ts'
import { type Access, createAccess } from './access/access.ts'
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
import { createDomains, type Domains } from './domain.ts'
import { createEmbedding } from './embedding.ts'
import { createFeedback } from './feedback/feedback.ts'
import { createFeedbackStore, feedbackSchema } from './feedback/store.ts'
import { createImplicit } from './implicit/implicit.ts'
import { isInsight } from './insight-headers.ts'
import { createLive } from './live.ts'
import { createOwnLogprobs } from './logprobs/own-logprobs.ts'
import { createMetrics } from './metrics.ts'
import { createResponseObserver } from './observe-response.ts'
import { createApiDescription } from './openapi.ts'
import { createOperations } from './operations.ts'
import { loadReceiptKeys } from './receipt-keys.ts'
import { createReceipts } from './receipts.ts'
import { createRefinement } from './refine/refinement.ts'
import { refineSchema } from './refine/trials.ts'
import { readPolicies } from './routing/policies.ts'
import { createRouting } from './routing/routing.ts'
import { declaredLabels, sharingOptions } from './sharing.ts'
import { createStatus } from './status.ts'
import { openSwarmAccess } from './swarm-access.ts'
import { createTelemetry, type Telemetry } from './telemetry.ts'
import { createUpstreamAgents, createUpstreamClient, readTlsFiles, type TlsOptions } from './upstream/client.ts'
import { createKnownModels } from './upstream/known-models.ts'
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
  /**
   * Goes on with other settings, of which only those that the table marks as `reloads` may differ, and looks at the files
   * that they name again. Rejects with what is wrong with them, and has changed nothing then.
   */
  reload(next: Config): Promise<void>
  /** The network broke one of its own rules: it is started anew, and everything else goes on. */
  networkFailed(fault: unknown): void
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
  const loggers = [logger]
  const loggerOf = (part: string) => {
    const child = logger.child({ part })
    loggers.push(child)
    return child
  }
  const live = parts.use(createLive({ logger }, config))
  live.follow(({ logLevel }) => {
    for (const one of loggers) one.level = logLevel
  })
  await makePrivateFolder(config.dataDir)

  const identity = await loadIdentity(join(config.dataDir, 'identity.key'))
  const receiptKeys = await loadReceiptKeys(join(config.dataDir, 'receipt.key'))
  const { embedder, space } = await createEmbedding(config, loggerOf('embeddings'))
  parts.use(embedder)
  const database = parts.use(
    await openDatabase({
      file: join(config.dataDir, 'qis.db'),
      schemas,
      durability: config.durability,
    }),
  )
  const domainRules = config.domainsFile === undefined ? undefined : await readDomainRules(config.domainsFile)
  const tls = readTls(config)
  const agents = parts.use(createUpstreamAgents({ ...config, tls }))
  const sharing = sharingOptions(config, Object.keys(domainRules?.domains ?? {}))
  const knownModels = parts.use(
    createKnownModels(
      { dispatcher: agents.agent },
      {
        entries: sharing.profile.labels === 'declared' ? entries : [],
        configured: () => live.config.route.map(({ name }) => name),
      },
    ),
  )
  const declared = declaredLabels(config, { domains: () => domainsNow.current.names, model: knownModels.of })
  const metrics = createMetrics(labelsUnder(sharing.profile, declared))
  const capture = config.capture === undefined ? undefined : parts.use(await openCapture(config.capture))
  const membership = parts.use(
    await openSwarmAccess(
      { logger: loggerOf('network') },
      {
        folder: config.swarm ?? join(config.dataDir, 'swarm'),
        mustBeClosed: config.swarm !== undefined,
        bootstrap: config.bootstrap,
      },
    ),
  )
  const network = (config.p2pThread ? createThreadedNetwork : createLibp2pNetwork)(
    { privateKey: identity.privateKey, logger: loggerOf('network'), observer: metrics },
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
      logger: loggerOf('router'),
    },
    { ...sharing, declared, estimator: config.estimator },
  )
  parts.defer(() => router.stop())
  metrics.watchDatabase(() => sizeOf(join(config.dataDir, 'qis.db')))
  metrics.watchSwarm(() => {
    const { networkUp: up, peers, keys, evidence } = router.status()
    return { up, peers: peers.length, cells: keys, evidence }
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
  const refinement = parts.use(createRefinement({ database, router, metrics, logger }))
  const refining = await live.part(refinement.refining)
  metrics.watchTrials(() => refinement.trials?.list() ?? [])
  const receipts = createReceipts(receiptKeys, { lifetimeS: config.receiptLifetimeS })
  const feedback = parts.use(
    createFeedback(
      {
        answers,
        receipts,
        router,
        store: createFeedbackStore(database),
        logger: loggerOf('feedback'),
        onTaken: metrics.feedbackTaken,
        telemetry,
        onStanding: async ({ trial, ...answer }, signal) =>
          trial && refinement.trials?.judged({ ...answer, trial }, signal),
      },
      live.config,
    ),
  )
  const callers = createCallers()
  const feedbackLogger = loggerOf('feedback')
  const implicit = await live.part(({ implicit: rules }) =>
    createImplicit({ feedback, logger: feedbackLogger }, { rules }),
  )
  const afterwards = createAfterwards({
    answers,
    callers,
    implicit: { ended: answer => implicit.current.ended(answer) },
  })
  const domainLogger = loggerOf('domains')
  const domainsNow = await live.part(async ({ domainsFile }) =>
    createDomains(
      { embedder, mean: space.mean, logger: domainLogger, onFound: metrics.domainFound },
      domainsFile === undefined ? undefined : await readDomainRules(domainsFile),
    ),
  )
  const domains: Pick<Domains, 'of'> = { of: (question, vector) => domainsNow.current.of(question, vector) }
  const upstreams = parts.use(createUpstreams({ dispatcher: agents.agent }, entries))
  metrics.watchUpstreams(upstreams.status)
  const sender = createUpstreamClient(agents, upstreams)
  const client = config.ownLogprobs ? createOwnLogprobs({ client: sender, now: Date.now }) : sender
  const policies = await live.part(readPolicies)
  const routing = createRouting({
    get policies() {
      return policies.current
    },
    available: upstreams.available,
    onRouted: metrics.routed,
  })
  const adviser = createAdviser(
    {
      embedder,
      router,
      domains,
      logger,
      get routing() {
        return live.config.route.length > 0 ? routing : undefined
      },
      get refining() {
        return refining.current
      },
      onEmbedded: metrics.embedded,
    },
    live.config,
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

  const accessNow = await live.part(next => createAccess(next, { logger }))
  const access: Access = {
    // Names of hosts stay as they are.
    ...accessNow.current,
    voices: (authorization, origin) => accessNow.current.voices(authorization, origin),
    holder: authorization => accessNow.current.holder(authorization),
    admits: authorization => accessNow.current.admits(authorization),
    mayScrape: authorization => accessNow.current.mayScrape(authorization),
  }
  const advice = createAdviceEndpoint(
    { embedder, router, domains },
    {
      get models() {
        return live.config.route.map(({ name }) => name)
      },
    },
  )
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
        live.config,
      ),
      metrics,
      observer,
      access,
      api,
      logger,
    },
    live.config,
    { listed: config.routeList && config.route.length > 0 ? routing.models : [] },
  )
  parts.defer(() => {
    tunnel.cut()
    return data.close()
  })
  const admin = createOperations(
    {
      router,
      status: createStatus({ router, upstreams, knownModels, metrics, membership, embedder }, config),
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
    live.config,
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
    async reload(next) {
      await live.change(next)
      await membership.look()
    },
    networkFailed: fault => network.fail(fault),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
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
