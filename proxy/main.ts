#!/usr/bin/env node
/** The process: reads the configuration, listens, answers signals, and leaves with an exit code that means something. */
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { type Logger, pino } from 'pino'
import { createSidecar, type Sidecar } from './components.ts'
import { readFlags } from './config/flags.ts'
import type { Flags } from './config/read.ts'
import { reloaded } from './config/reload.ts'
import {
  type Address,
  type Config,
  configOf,
  describeVariables,
  readSettings,
  type Settings,
  settings,
  unknownVariables,
} from './config.ts'
import { handleFaults } from './faults.ts'
import { handleHangUp } from './hang-up.ts'
import { createPracticeModel } from './practice/server.ts'
import { onStopSignal } from './stop-signals.ts'
import { findUpstream } from './upstream/find.ts'

const USAGE = `qis-sidecar: a proxy in front of an OpenAI-compatible LLM server that learns from other deployments
which kinds of question the model answers well. No question, answer or user leaves the machine.

Usage: npm start, or node proxy/main.ts [--help] [--SETTING VALUE]…

Settings, as environment variables, as lines of qis.config.yaml (data_listen: …) or as flags (--data-listen …), the later
of which are the stronger [default]:
${describeVariables()}
`

/** Wrong settings or files, which a restart alone will not cure. */
const EXIT_MISCONFIGURED = 2
const MISCONFIGURED =
  /^ERR_(CONFIG_INVALID|IDENTITY_INVALID|SWARM_INVALID|SPACE_INVALID|EMBEDDER_UNAVAILABLE|DATABASE_(CORRUPT|NEWER|LOCKED|FAILED))$/

/** Where settings are said, beside the file. */
export interface Said {
  environment: NodeJS.ProcessEnv
  flags: Flags
}

/**
 * Runs until `signal` is aborted; resolves with the exit code.
 *
 * @param err told in one line what was set wrongly
 */
export async function runSidecar(said: Said, err: Writable, signal: AbortSignal): Promise<number> {
  try {
    await run(said, err, signal)
    return 0
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string }
    const misconfigured = code !== undefined && (MISCONFIGURED.test(code) || code === 'ERR_CANNOT_LISTEN')
    err.write(misconfigured ? `qis-sidecar: ${message}\n` : `qis-sidecar: ${(error as Error)?.stack ?? error}\n`)
    return misconfigured ? EXIT_MISCONFIGURED : 1
  }
}

async function run({ environment, flags }: Said, err: Writable, signal: AbortSignal): Promise<void> {
  const config = configOf(readSettings(environment, flags))
  const logger = pino({ name: 'qis-sidecar', level: config.logLevel })
  await using parts = new AsyncDisposableStack()
  const gone = new AbortController()
  const hangUp = parts.use(
    handleHangUp(() => {
      // Who reads the log is gone with the terminal.
      logger.level = 'silent'
      gone.abort()
    }),
  )
  const unknown = unknownVariables(environment)
  if (unknown.length > 0) logger.warn({ unknown }, 'these variables are not settings; --help lists those that are')

  const upstreams = config.upstreams ?? [{ origin: await findOrPractise(parts, logger), models: [] }]
  let networkFailed: Sidecar['networkFailed'] = fault => logger.warn({ err: fault }, 'the network has a fault')
  parts.use(handleFaults(fault => networkFailed(fault), err))
  const sidecar = parts.use(await createSidecar(config, upstreams, logger))
  networkFailed = sidecar.networkFailed
  await listen(sidecar.data, config.dataListen, 'QIS_DATA_LISTEN')
  await listen(sidecar.admin, config.adminListen, 'QIS_ADMIN_LISTEN')
  const { id, addresses, networkUp } = sidecar.router.status()
  logger.info(
    { data: urlOf(sidecar.data), admin: urlOf(sidecar.admin), upstreams, peerId: id, addresses, networkUp },
    'ready: point your client at the data address',
  )

  let current = config
  hangUp.onReload(async () => {
    current = await reload(sidecar, current, readSettings(environment, flags), logger)
  })
  const stop = AbortSignal.any([signal, gone.signal])
  if (!stop.aborted) await once(stop, 'abort')
  logger.info('stopping: running answers may end')
  await drain(sidecar, current.shutdownMs)
}

/** The settings that are in force then: those from before where anything was wrong. */
async function reload(sidecar: Sidecar, current: Config, next: Settings, logger: Logger): Promise<Config> {
  try {
    const { config, changed, waiting } = reloaded(current, next)
    await sidecar.reload(config)
    logger.info({ changed }, 'the settings were read anew')
    if (waiting.length > 0) logger.warn({ waiting }, 'these settings take effect when the sidecar is restarted')
    return config
  } catch (error) {
    logger.error({ err: error }, 'the settings were read anew, and nothing was changed: something is wrong with them')
    return current
  }
}

async function findOrPractise(parts: AsyncDisposableStack, logger: Logger): Promise<string> {
  const found = await findUpstream()
  if (found) {
    logger.info(found, `found ${found.server} at ${found.origin}; set QIS_UPSTREAM to name another`)
    return found.origin
  }
  const origin = await parts.use(createPracticeModel({ logger })).listen()
  logger.warn(
    { origin },
    'NO LLM SERVER FOUND: answers come from the built-in practice model, which is not an LLM; set QIS_UPSTREAM to the real one',
  )
  return origin
}

async function listen(app: FastifyInstance, { host, port }: Address, setting: string): Promise<void> {
  try {
    await app.listen({ host, port })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CannotListenError(`cannot listen on ${host}:${port} (${code}); ${setting} names another address`, {
      cause: error,
    })
  }
}

class CannotListenError extends Error {
  override readonly name = 'CannotListenError'
  readonly code = 'ERR_CANNOT_LISTEN'
}

function urlOf(app: FastifyInstance): string {
  const address = app.server.address()
  if (address === null || typeof address === 'string') return ''
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
}

const SWEEP_MS = 50

async function drain(sidecar: Sidecar, deadlineMs: number): Promise<void> {
  const { server } = sidecar.data
  sidecar.stopAccepting()
  // Closing ends the connections that are idle at that moment; those whose answer ends later would be kept alive.
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS)
  const late = setTimeout(() => sidecar.cut(), deadlineMs)
  try {
    await sidecar.data.close()
  } finally {
    clearInterval(sweep)
    clearTimeout(late)
  }
}

async function main(args: readonly string[]): Promise<number> {
  const { flags, values } = readFlags(settings, args, { help: { type: 'boolean', default: false } })
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  const stop = new AbortController()
  onStopSignal(() => stop.abort())
  return runSidecar({ environment: process.env, flags }, process.stderr, stop.signal)
}

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`qis-sidecar: ${error instanceof Error ? error.message : error}; --help says more\n`)
    process.exitCode = EXIT_MISCONFIGURED
  }
}
