/** Whether the LLM servers can be reached, are LLM servers, and agree with this machine about the time. */
import type { Dispatcher } from 'undici'
import { request } from 'undici'
import { type Address, type Config, isLoopback } from '../../proxy/config.ts'
import { createUpstreamAgents, readTlsFiles } from '../../proxy/upstream/client.ts'
import { findEntries } from '../../proxy/upstream/find.ts'
import type { UpstreamEntry } from '../../proxy/upstream/upstreams.ts'
import { about, type Finding } from './finding.ts'

const upstream = about('upstream')
const clock = about('clock')

const DEADLINE_MS = 5_000
const MAX_ANSWER_BYTES = 4 << 20
const MODELS_NAMED = 4

/** Packets are dated by the hour, and refused when more than two hours ahead. */
const CLOCK_WARNING_S = 120
const CLOCK_FAULT_S = 3600

const UNTRUSTED = /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(VERIFY|GET)_\w+)$/

export async function checkUpstreams(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const entries: readonly UpstreamEntry[] = config.upstreams ?? (await findEntries())
  if (entries.length === 0) {
    return [
      upstream.warning(
        'QIS_UPSTREAM is not set, and no LLM server listens on the usual local ports: the practice model will answer',
        'start the server, or name it: QIS_UPSTREAM=http://HOST:PORT',
      ),
    ]
  }
  let tls: ReturnType<typeof readTlsFiles>
  try {
    tls = readTlsFiles({ ca: config.upstreamCa, cert: config.upstreamCert, key: config.upstreamKey })
  } catch (error) {
    const { path, code } = error as NodeJS.ErrnoException
    return [upstream.fault(`${path} cannot be read (${code})`, 'see QIS_UPSTREAM_CA, _CERT and _KEY')]
  }
  await using agents = createUpstreamAgents({ ...config, tls })
  const findings = await Promise.all(
    entries.map(({ origin, models }) =>
      isSelf(origin, config.dataListen)
        ? [upstream.fault(`${origin} is this sidecar itself`, 'QIS_UPSTREAM must name the LLM server behind it')]
        : checkOne(origin, agents.agent, signal, mustList(config) && models.length === 0),
    ),
  )
  return findings.flat()
}

function isSelf(origin: string, listen: Address): boolean {
  const { hostname, port, protocol } = new URL(origin)
  const host = hostname.replace(/^\[|\]$/g, '')
  const same = host === listen.host || (isLoopback({ host, port: 0 }) && isLoopback(listen))
  return protocol === 'http:' && same && Number(port || 80) === listen.port
}

/** Only outcomes of models that are known to be there leave. */
function mustList({ mode, profile }: Config): boolean {
  return mode === 'share' && profile !== 'open'
}

/** @param toList whether it matters that its models can be listed */
async function checkOne(
  origin: string,
  dispatcher: Dispatcher,
  signal: AbortSignal,
  toList: boolean,
): Promise<Finding[]> {
  try {
    const before = Date.now()
    const { statusCode, headers, body } = await request(`${origin}/v1/models`, {
      dispatcher,
      signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
    })
    const text = await readStart(body)
    return [judge(origin, statusCode, text, toList), ...compareClocks(origin, headers.date, (before + Date.now()) / 2)]
  } catch (error) {
    signal.throwIfAborted()
    return [unreachable(origin, error as NodeJS.ErrnoException)]
  }
}

async function readStart(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) break
  }
  return Buffer.concat(chunks).toString('utf8')
}

function judge(origin: string, status: number, text: string, toList: boolean): Finding {
  if ((status === 401 || status === 403) && toList) {
    return upstream.warning(
      `${origin} answers and wants a key (${status}), so that its models are not known: no outcome of theirs leaves`,
      `name them behind its address: QIS_UPSTREAM="${origin} MODEL"`,
    )
  }
  if (status === 401 || status === 403) {
    return upstream.ok(`${origin} answers and wants a key (${status}), which clients bring along`)
  }
  const models = modelsIn(text)
  if (status === 200 && models !== undefined) {
    const more = models.length > MODELS_NAMED ? ` and ${models.length - MODELS_NAMED} more` : ''
    return upstream.ok(`${origin} serves ${models.slice(0, MODELS_NAMED).join(', ') || 'no model'}${more}`)
  }
  if (status >= 500) {
    return upstream.fault(`${origin} answers with ${status}`, 'look into that server: it may still be loading a model')
  }
  return upstream.warning(
    `${origin} answers, but not as an OpenAI-compatible server does (${status} to GET /v1/models)`,
    'see that host and port are those of the LLM server',
  )
}

function modelsIn(text: string): string[] | undefined {
  try {
    const { data } = JSON.parse(text) as { data?: { id?: unknown }[] }
    return Array.isArray(data) ? data.map(model => String(model?.id)) : undefined
  } catch {
    return undefined
  }
}

function unreachable(origin: string, error: NodeJS.ErrnoException): Finding {
  const code = error.code ?? error.name
  if (UNTRUSTED.test(code)) {
    return upstream.fault(
      `${origin} shows a certificate that nobody trusts here (${code})`,
      'name the PEM file of the authority that signed it in QIS_UPSTREAM_CA',
    )
  }
  if (code === 'CERT_HAS_EXPIRED') {
    return upstream.fault(`the certificate of ${origin} has expired`, "renew it, or see to this machine's clock")
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return upstream.fault(
      `the certificate of ${origin} is for other names`,
      'name the server in QIS_UPSTREAM as its certificate does',
    )
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return upstream.fault(`${origin}: there is no such host (${code})`, 'see QIS_UPSTREAM and the DNS of this machine')
  }
  if (code === 'TimeoutError' || code === 'UND_ERR_CONNECT_TIMEOUT') {
    return upstream.fault(`${origin} does not answer within ${DEADLINE_MS / 1000} s`, 'is a firewall in between?')
  }
  return upstream.fault(
    `nothing answers at ${origin} (${code})`,
    'start the LLM server, or name another in QIS_UPSTREAM',
  )
}

function compareClocks(origin: string, header: string | string[] | undefined, nowMs: number): Finding[] {
  const theirs = Date.parse(String(header))
  if (Number.isNaN(theirs)) return []
  const ahead = Math.round((nowMs - theirs) / 1000)
  const found = `this machine's clock is ${Math.abs(ahead)} s ${ahead > 0 ? 'ahead of' : 'behind'} that of ${origin}`
  const remedy = 'set it by NTP: packets are dated, and peers refuse those from the future'
  if (Math.abs(ahead) >= CLOCK_FAULT_S) return [clock.fault(found, remedy)]
  if (Math.abs(ahead) >= CLOCK_WARNING_S) return [clock.warning(found, remedy)]
  return [clock.ok(`agrees with ${origin}`)]
}
