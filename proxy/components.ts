/** The composition root: builds every part from the configuration, and disposes of them in reverse. */

import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { createCachedEmbedder } from '../embeddings/cached.ts'
import type { Embedder } from '../embeddings/embedder.ts'
import { createStaticEmbedder } from '../embeddings/static.ts'
import { BUILT_IN_SPACE, parseTable } from '../embeddings/table.ts'
import { createTransformersEmbedder } from '../embeddings/transformers.ts'
import { profiles } from '../router/disclosure.ts'
import { loadIdentity } from '../router/identity.ts'
import { readOrCreate } from '../router/key-file.ts'
import { createLibp2pNetwork } from '../router/network/libp2p.ts'
import { createRouter, type Router } from '../router/router.ts'
import { loadSpace, type Space } from '../router/space.ts'
import { openDatabase } from '../router/store/database.ts'
import { createSqliteStore, routerSchema } from '../router/store/sqlite.ts'
import { createAdviser } from './advise.ts'
import { answerSchema, createAnswerIndex } from './answer-index.ts'
import { createApp } from './app.ts'
import { openCapture } from './capture-file.ts'
import { type Config, ConfigInvalidError, isLoopback } from './config.ts'
import { createFeedback } from './feedback.ts'
import { createFeedbackStore, feedbackSchema } from './feedback-store.ts'
import { isInsight } from './insight-headers.ts'
import { createMetrics } from './metrics.ts'
import { createOperations } from './operations.ts'
import { createReceipts } from './receipts.ts'
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
  const receiptKey = await loadReceiptKey(join(config.dataDir, 'receipt.key'))
  const space = await loadSpace(spaceFolder(config))
  const embedder = parts.use(await createEmbedder(config, space))
  checkFit(embedder, space)
  const database = parts.use(
    await openDatabase({ file: join(config.dataDir, 'qis.db'), schemas: [routerSchema, answerSchema, feedbackSchema] }),
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
    createAnswerIndex({
      database,
      onError(error) {
        metrics.indexFailed()
        logger.warn({ err: error }, 'answers could not be indexed; their receipts still work')
      },
    }),
  )
  const receipts = createReceipts(receiptKey)
  const feedback = createFeedback({
    answers,
    receipts,
    router,
    store: createFeedbackStore(database),
    onTaken: metrics.feedbackTaken,
  })
  const adviser = createAdviser({ embedder, router, logger }, { deadlineMs: config.adviceDeadlineMs })
  const tls = readTls(config)
  const agents = parts.use(createUpstreamAgents({ ...config, tls }))
  const upstreams = parts.use(createUpstreams({ dispatcher: agents.agent }, entries))
  metrics.watchUpstreams(upstreams.status)
  const client = createUpstreamClient(agents, upstreams)
  const tunnel = createTunnel({
    origin: url => upstreams.choose(modelInUrl(url))[0] ?? '',
    handshakeTimeoutMs: config.connectTimeoutMs,
    tls,
    isOurs: isInsight,
  })

  let ready = true
  const data = createApp(
    { client, upstreams, tunnel, adviser, answers, receipts, feedback, metrics, logger },
    { ...config, token: isLoopback(config.dataListen) ? undefined : config.adminToken },
  )
  parts.defer(() => {
    tunnel.cut()
    return data.close()
  })
  const admin = createOperations(
    { router, metrics, logger, ready: () => ready },
    { token: isLoopback(config.adminListen) ? undefined : config.adminToken },
  )
  parts.defer(() => admin.close())

  await router.start()
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

const SPACES = join(import.meta.dirname, '../embeddings/spaces')

function spaceFolder({ space, embedder, embedderModel }: Config): string {
  const byModel = embedder === 'transformers' && embedderModel ? basename(embedderModel).toLowerCase() : BUILT_IN_SPACE
  const name = space ?? byModel
  const folder = [join(SPACES, name), resolve(name)].find(existsSync)
  if (folder !== undefined) return folder
  const shipped = readdirSync(SPACES, { withFileTypes: true }).filter(entry => entry.isDirectory())
  throw new ConfigInvalidError(
    `there is no space ${name}; QIS_SPACE names a folder, or one of ${shipped.map(({ name }) => name).join(', ')}`,
  )
}

async function createEmbedder({ embedder, embedderModel }: Config, space: Space): Promise<Embedder> {
  return createCachedEmbedder(
    embedder === 'transformers' && embedderModel !== undefined
      ? await createTransformersEmbedder({ model: embedderModel, space: space.name })
      : createBuiltInEmbedder(space),
  )
}

/** From the bytes that `loadSpace` has checked, and from no others. */
function createBuiltInEmbedder({ name, embedderTable }: Space): Embedder {
  if (embedderTable !== undefined) return createStaticEmbedder({ table: parseTable(embedderTable), space: name })
  throw new ConfigInvalidError(
    `QIS_SPACE must be the space that belongs to the embedder: ${name} has no embedder.bin, which the built-in embedder needs`,
  )
}

function checkFit(embedder: Embedder, space: Space): void {
  if (embedder.space !== space.name || embedder.dimensions !== space.inputDimensions) {
    throw new ConfigInvalidError(
      `QIS_SPACE must be the space that belongs to the embedder: ${space.name} is for vectors of ${space.inputDimensions} dimensions, the embedder makes ${embedder.space} vectors of ${embedder.dimensions}`,
    )
  }
}

async function loadReceiptKey(file: string): Promise<Buffer> {
  const text = await readOrCreate(file, () => randomBytes(RECEIPT_KEY_BYTES).toString('base64')).catch(
    (cause: NodeJS.ErrnoException) => {
      throw new ConfigInvalidError(`${file} cannot be read (${cause.code}): check its permissions`, { cause })
    },
  )
  const key = Buffer.from(text, 'base64')
  if (key.length === RECEIPT_KEY_BYTES) return key
  throw new ConfigInvalidError(
    `${file} does not hold a receipt key: restore it from a backup, or move it away (receipts given out so far are then void); nothing was changed`,
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
