/** All that an operator can set: one schema with defaults, read from the environment here and nowhere else. */
import { isIP } from 'node:net'
import { Type } from '@sinclair/typebox'
import type { Estimator } from '../router/router.ts'
import type { Durability } from '../router/store/database.ts'
import { type AccessConfig, accessVariables } from './config/access.ts'
import { type Address, address, endpoint, upstreamEntries } from './config/addresses.ts'
import { DEFAULT_FILE, FILE_VARIABLE, readConfigFile } from './config/file.ts'
import { FILE_FLAG } from './config/flags.ts'
import { type NetworkConfig, networkVariables } from './config/network.ts'
import { type Flags, keyOf, type Reading, readTable, type Table } from './config/read.ts'
import { type SharingConfig, sharingVariables } from './config/sharing.ts'
import { type UsesConfig, usesVariables } from './config/uses.ts'
import { kind, list, oneOf, onOff, path, text, type Variable, whole } from './config/variable.ts'
import { answerRules, type ImplicitRule, implicitRules } from './implicit/rules.ts'
import type { UpstreamEntry } from './upstream/upstreams.ts'

export type { Address } from './config/addresses.ts'

export class ConfigInvalidError extends Error {
  override readonly name = 'ConfigInvalidError'
  readonly code = 'ERR_CONFIG_INVALID'
}

export interface Config extends AccessConfig, NetworkConfig, SharingConfig, UsesConfig {
  /** The LLM servers, best first; undefined to look for one. */
  upstreams: UpstreamEntry[] | undefined
  upstreamCa: string | undefined
  upstreamCert: string | undefined
  upstreamKey: string | undefined
  dataListen: Address
  adminListen: Address
  keepCorrections: boolean
  implicit: readonly ImplicitRule[]
  dataDir: string
  receiptLifetimeS: number
  estimator: Estimator
  p2pListen: string[]
  bootstrap: string[]
  embedder: 'static' | 'minilm' | 'transformers'
  embedderModel: string | undefined
  /** What runs when the embedder's model cannot be had at start; never another one unasked: it sees questions otherwise. */
  embedderFallback: 'none' | 'static'
  /** A shipped space by name, or a folder; undefined for the one that belongs to the embedder. */
  space: string | undefined
  /** File of rules and examples that tell a request's domain. */
  domainsFile: string | undefined
  adviceDeadlineMs: number
  adviceBodyBytes: number
  maxBodyBytes: number
  keepAliveCommentMs: number
  upstreamHeaders: boolean
  connectTimeoutMs: number
  firstByteTimeoutMs: number
  idleTimeoutMs: number
  durability: Durability
  shutdownMs: number
  capture: string | undefined
  /** Of an OpenTelemetry collector. */
  otlpEndpoint: string | undefined
  logLevel: string
}

const implicit = kind(
  Type.Union([Type.Boolean(), Type.Array(oneOf(...implicitRules).schema), Type.String()]),
  (text): readonly ImplicitRule[] => {
    if (text === 'all') return implicitRules
    if (text === 'on') return answerRules
    return text === 'off' ? [] : list(text).map(rule => oneOf(...implicitRules)(rule))
  },
)

const durability = kind(
  oneOf('normal', 'full').schema,
  (text): Durability => (oneOf('normal', 'full')(text) === 'full' ? 'power' : 'process'),
)

const MINUTE_MS = 60_000
const FILE_HELP = 'YAML file with settings, stronger than the environment; off for none'

const variables = {
  upstreams: {
    name: 'QIS_UPSTREAM',
    help: 'the LLM server, or several by comma, each with the models it serves if it cannot be asked: "http://a:8000 llama3, http://b:8000"; looked for on the usual local ports when unset',
    parse: upstreamEntries,
  },
  upstreamCa: {
    name: 'QIS_UPSTREAM_CA',
    help: 'PEM file of the authority that signed its certificate',
    parse: path,
  },
  upstreamCert: {
    name: 'QIS_UPSTREAM_CERT',
    help: 'PEM file of the certificate to show it (mTLS)',
    parse: path,
  },
  upstreamKey: {
    name: 'QIS_UPSTREAM_KEY',
    help: 'PEM file of the key of that certificate',
    parse: path,
  },
  dataListen: { name: 'QIS_DATA_LISTEN', default: '127.0.0.1:8787', help: 'where clients connect', parse: address },
  adminListen: { name: 'QIS_ADMIN_LISTEN', default: '127.0.0.1:8788', help: 'metrics, health, ledger', parse: address },
  ...accessVariables,
  keepCorrections: {
    name: 'QIS_KEEP_CORRECTIONS',
    default: 'off',
    help: 'whether the texts of corrections are kept, in the database here: on or off',
    reloads: true,
    parse: onOff,
  },
  implicit: {
    name: 'QIS_IMPLICIT',
    default: 'on',
    help: `which outcomes are seen without a person: on (all but asked_again), all, off, or some of ${implicitRules.join(', ')}`,
    reloads: true,
    parse: implicit,
  },
  dataDir: {
    name: 'QIS_DATA',
    default: 'qis-data',
    help: 'folder of the database and the keys',
    parse: path,
  },
  receiptLifetimeS: {
    name: 'QIS_RECEIPT_LIFETIME_S',
    default: '604800',
    help: 'seconds for which feedback on an answer may come',
    parse: whole(1, 90 * 24 * 3600),
  },
  ...sharingVariables,
  estimator: {
    name: 'QIS_ESTIMATOR',
    default: 'ours',
    help: "how outcomes are weighed: ours, or seed, the published pattern's own rule, to compare with",
    parse: oneOf<Estimator>('ours', 'seed'),
  },
  p2pListen: {
    name: 'QIS_P2P_LISTEN',
    default: '/ip4/127.0.0.1/tcp/0',
    help: 'libp2p multiaddrs to listen on, by comma',
    parse: list,
  },
  bootstrap: {
    name: 'QIS_BOOTSTRAP',
    default: '',
    help: 'libp2p multiaddrs of peers to start from, by comma',
    parse: list,
  },
  ...networkVariables,
  embedder: {
    name: 'QIS_EMBEDDER',
    default: 'static',
    help: 'static (built in), minilm (all-MiniLM-L6-v2, int8; in the same space, so the two share what they learn) or transformers (a model of your own)',
    parse: oneOf('static', 'minilm', 'transformers'),
  },
  embedderModel: {
    name: 'QIS_EMBEDDER_MODEL',
    help: 'for minilm and transformers: a local folder or a hub id; minilm alone has a default, on the hub, kept in QIS_DATA/models',
    parse: text,
  },
  embedderFallback: {
    name: 'QIS_EMBEDDER_FALLBACK',
    default: 'none',
    help: 'when that model cannot be had at start: none (do not start) or static (start with the built-in embedder, in the same space if that is its own)',
    parse: oneOf('none', 'static'),
  },
  space: {
    name: 'QIS_SPACE',
    help: 'a shipped space by name, or a folder; by default the one that belongs to the embedder, or is named like its model',
    parse: text,
  },
  domainsFile: {
    name: 'QIS_DOMAINS',
    help: 'YAML or JSON file that tells the domain of requests by API key, path or example phrases; see docs/domains.md',
    reloads: true,
    parse: path,
  },
  adviceDeadlineMs: {
    name: 'QIS_ADVICE_DEADLINE_MS',
    default: '50',
    help: 'a request waits no longer than this for its embedding',
    reloads: true,
    parse: whole(1, 10_000),
  },
  adviceBodyBytes: {
    name: 'QIS_ADVICE_BODY_BYTES',
    default: '33554432',
    help: 'larger request bodies pass through without advice',
    reloads: true,
    parse: whole(1024, 1 << 30),
  },
  maxBodyBytes: {
    name: 'QIS_MAX_BODY_BYTES',
    default: '0',
    help: 'larger request bodies are refused with a 413; 0 for no limit',
    reloads: true,
    parse: whole(0, Number.MAX_SAFE_INTEGER),
  },
  keepAliveCommentMs: {
    name: 'QIS_KEEP_ALIVE_COMMENT_MS',
    default: '0',
    help: 'while a stream has not begun, send a comment this often, for balancers that give up; 0 for never',
    reloads: true,
    parse: whole(0, 10 * MINUTE_MS),
  },
  upstreamHeaders: {
    name: 'QIS_UPSTREAM_HEADERS',
    default: 'on',
    help: 'whether the upstream is sent the advice as well, for which it waits: on or off',
    reloads: true,
    parse: onOff,
  },
  connectTimeoutMs: {
    name: 'QIS_CONNECT_TIMEOUT_MS',
    default: '10000',
    help: 'to connect to the upstream',
    parse: whole(1, 10 * MINUTE_MS),
  },
  firstByteTimeoutMs: {
    name: 'QIS_FIRST_BYTE_TIMEOUT_MS',
    default: '1800000',
    help: "until the upstream's headers; 0 for ever",
    parse: whole(0, 24 * 60 * MINUTE_MS),
  },
  idleTimeoutMs: {
    name: 'QIS_IDLE_TIMEOUT_MS',
    default: '1800000',
    help: 'between two chunks of an answer; 0 for ever',
    parse: whole(0, 24 * 60 * MINUTE_MS),
  },
  durability: {
    name: 'QIS_DURABILITY',
    default: 'normal',
    help: 'what is acknowledged survives: normal: a crash of the sidecar; full: a power cut too, at the price of a disk sync',
    parse: durability,
  },
  shutdownMs: {
    name: 'QIS_SHUTDOWN_MS',
    default: '30000',
    help: 'for running answers to end after SIGTERM',
    reloads: true,
    parse: whole(0, 60 * MINUTE_MS),
  },
  capture: {
    name: 'QIS_CAPTURE',
    help: 'file for every byte the node exchanges with peers, before encryption, for audits',
    parse: path,
  },
  ...usesVariables,
  otlpEndpoint: {
    name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    key: 'otlp_endpoint',
    help: 'OTLP/HTTP receiver of an OpenTelemetry collector, told of every feedback, without its texts',
    parse: endpoint,
  },
  logLevel: {
    name: 'QIS_LOG_LEVEL',
    default: 'info',
    help: 'fatal, error, warn, info, debug, trace or silent',
    reloads: true,
    parse: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
  },
} satisfies { [K in keyof Config]: Variable<NonNullable<Config[K]>> }

/** By their names in `Config`. */
export const settings: Table = variables

/** The names of all variables, for documents and deployments to be checked against. */
export const environmentVariables: readonly string[] = [
  FILE_VARIABLE,
  ...Object.values(variables).map(({ name }) => name),
]

/** One line a variable, for `--help`. */
export function describeVariables(): string {
  const described = Object.values(settings).map(({ name, help, default: preset }) => ({ name, help, preset }))
  return [{ name: FILE_VARIABLE, help: FILE_HELP, preset: DEFAULT_FILE }, ...described]
    .map(({ name, help, preset }) => `  ${name.padEnd(26)} ${help}${preset ? ` [${preset}]` : ''}`)
    .join('\n')
}

/**
 * Variables that look like ours and are not: typing errors, most likely. They only deserve a warning, since Kubernetes
 * puts the address of a service named qis-… into just such names.
 */
export function unknownVariables(environment: NodeJS.ProcessEnv = process.env): string[] {
  return Object.keys(environment).filter(name => name.startsWith('QIS_') && !environmentVariables.includes(name))
}

/** The settings from everywhere, and what is wrong with them. */
export interface Settings extends Reading {
  /** Undefined where there is none. */
  file: string | undefined
}

/** Never throws. */
export function readSettings(environment: NodeJS.ProcessEnv = process.env, flags: Flags = {}): Settings {
  const keys = Object.values(settings).map(keyOf)
  const file = readConfigFile(flags[FILE_FLAG] ?? (environment[FILE_VARIABLE] || undefined), keys)
  const reading = readTable(settings, { environment, file, flags })
  const faults = reading.faults.length > 0 ? reading.faults : checkTogether(reading)
  return { ...reading, faults, file: file?.path }
}

/**
 * From the environment, the file and the command line, the later of which are the stronger.
 *
 * @throws {ConfigInvalidError} naming each setting that is not as it must be, where it was said, and what it must be
 */
export function readConfig(environment: NodeJS.ProcessEnv = process.env, flags: Flags = {}): Config {
  return configOf(readSettings(environment, flags))
}

/** @throws {ConfigInvalidError} */
export function configOf({ values, faults }: Settings): Config {
  if (faults.length > 0) throw new ConfigInvalidError(faults.join('\n'))
  return values as unknown as Config
}

/** What is wrong with settings that are each as they must be: whole sentences. */
export function checkTogether({ values, given }: Pick<Reading, 'values' | 'given'>): string[] {
  const config = values as unknown as Config
  const faults: string[] = []
  const unless = (holds: boolean, setting: keyof Config, fault: string) => {
    if (!holds) faults.push(`${given[setting]?.place} ${fault}`)
  }
  const { dataListen, adminListen, adminToken, feedbackToken } = config
  unless(
    !config.refine || config.refineDomains.length > 0,
    'refineDomains',
    'must name the domains in which QIS_REFINE may act, or be *',
  )
  unless(
    (config.upstreamCert === undefined) === (config.upstreamKey === undefined),
    config.upstreamCert === undefined ? 'upstreamKey' : 'upstreamCert',
    'must be set together with its pair: QIS_UPSTREAM_CERT and QIS_UPSTREAM_KEY',
  )
  const exposed = [...(adminToken ? [] : [adminListen]), ...(adminToken || feedbackToken ? [] : [dataListen])].find(
    listen => !isLoopback(listen),
  )
  unless(
    exposed === undefined,
    'adminToken',
    `must be set, since ${exposed?.host}:${exposed?.port} is reachable from other machines`,
  )
  unless(
    config.embedder !== 'transformers' || config.embedderModel !== undefined,
    'embedderModel',
    'must be set to a folder or a hub id, since QIS_EMBEDDER is transformers',
  )
  return faults
}

export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
