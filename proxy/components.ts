/** The composition root: builds every part from the configuration, and disposes of them in reverse. */

import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { profiles } from '../router/disclosure.ts'
import { loadIdentity } from '../router/identity.ts'
import { readOrCreate } from '../router/key-file.ts'
import { createLibp2pNetwork } from '../router/network/libp2p.ts'
import { createRouter, type Router } from '../router/router.ts'
import { openDatabase } from '../router/store/database.ts'
import { createSqliteStore, routerSchema } from '../router/store/sqlite.ts'
import { createAccess } from './access/access.ts'
import { createAdviser } from './advise.ts'
import { createAfterwards } from './afterwards.ts'
import { answerSchema, createAnswerIndex } from './answer-index.ts'
import { createApp } from './app.ts'
import { createCallers } from './callers.ts'
import { openCapture } from './capture-file.ts'
import { type Config, ConfigInvalidError } from './config.ts'
import { readDomainRules } from './domain/rules.ts'
import { createDomains } from './domain.ts'
import { createEmbedding } from './embedding.ts'
import { createFeedback } from './feedback/feedback.ts'
import { createFeedbackStore, feedbackSchema } from './feedback/store.ts'
import { createImplicit } from './implicit/implicit.ts'
import { isInsight } from './insight-headers.ts'
import { createMetrics } from './metrics.ts'
import { createResponseObserver } from './observe-response.ts'
import { createApiDescription } from './openapi.ts'
import { createOperations } from './operations.ts'
import { createReceipts } from './receipts.ts'
import { createTelemetry, type Telemetry } from './telemetry.ts'
import { createUpstreamAgents, createUpstreamClient, readTlsFiles, type TlsOptions } from './upstream/client.ts'
import { createTunnel } from './upstream/tunnel.ts'
import { createUpstreams, type UpstreamEntry } from './upstream/upstreams.ts'

export interface Sidecar extends AsyncDisposable {
  readonly data: FastifyInstance
  readonly admin: FastifyInstance
  readonly router: Router
  /** From now on `/readyz` says no. */
  stopAccepting(): void
  /** Breaks off what is still under way. */
  cut(): void
}

const RECEIPT_KEY_BYTES = 32
/** Each more is tried on every receipt that no other opens. */
const MAX_RECEIPT_KEYS = 8

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
      schemas: [routerSchema, answerSchema, feedbackSchema],
      durability: config.durability,
    }),
  )
  const metrics = createMetrics()
  const capture = config.capture === undefined ? undefined : parts.use(await openCapture(config.capture))
  const network = createLibp2pNetwork(
    { privateKey: identity.privateKey, logger: logger.child({ part: 'network' }) },
    {
      listen: config.p2pListen,
      bootstrap: config.bootstrap,
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
      logger: logger.child({ part: 'router' }),
    },
    { mode: config.mode, profile: profiles[config.profile] },
  )
  parts.defer(() => router.stop())
  metrics.watchSwarm(() => {
    const { peers, keys, evidence } = router.status()
    return { peers: peers.length, cells: keys, evidence }
  })
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
      config.domainsFile === undefined ? undefined : await readDomainRules(config.domainsFile),
    ),
  )
  const adviser = createAdviser({ embedder, router, domains, logger }, { deadlineMs: config.adviceDeadlineMs })
  const tls = readTls(config)
  const agents = parts.use(createUpstreamAgents({ ...config, tls }))
  const upstreams = parts.use(createUpstreams({ dispatcher: agents.agent }, entries))
  metrics.watchUpstreams(upstreams.status)
  const client = createUpstreamClient(agents, upstreams)
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
  const api = createApiDescription()
  let ready = true
  const data = createApp(
    {
      client,
      upstreams,
      tunnel,
      adviser,
      answers,
      afterwards,
      receipts,
      callers,
      feedback,
      metrics,
      observer,
      access,
      api,
      logger,
    },
    config,
  )
  parts.defer(() => {
    tunnel.cut()
    return data.close()
  })
  const admin = createOperations({ router, metrics, feedback, access, api, logger, ready: () => ready }, config)
  parts.defer(() => admin.close())

  await router.start()
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

/** One key a line: the first seals, all open. To replace a key, put a new line above it; a week later, take the old one out. */
async function loadReceiptKeys(file: string): Promise<[Buffer, ...Buffer[]]> {
  const text = await readOrCreate(file, () => randomBytes(RECEIPT_KEY_BYTES).toString('base64')).catch(
    (cause: NodeJS.ErrnoException) => {
      throw new ConfigInvalidError(`${file} cannot be read (${cause.code}): check its permissions`, { cause })
    },
  )
  const lines = text.split('\n').map(line => line.trim())
  const [first, ...older] = lines.filter(line => line !== '').map(line => Buffer.from(line, 'base64'))
  const fits = (key: Buffer) => key.length === RECEIPT_KEY_BYTES
  if (first && older.length < MAX_RECEIPT_KEYS && [first, ...older].every(fits)) return [first, ...older]
  throw new ConfigInvalidError(
    `${file} does not hold a receipt key on each line (32 bytes in base64, at most ${MAX_RECEIPT_KEYS}): restore it from a backup, or move it away (receipts given out so far are then void); nothing was changed`,
  )
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
