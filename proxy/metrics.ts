/** What Prometheus sees; every label has a bounded set of values. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { type Labels, labelsUnder } from '../router/labels.ts'
import type { NetworkObserver } from '../router/network/events.ts'
import type { Grade } from '../router/synthesis/estimator.ts'
import type { Reliability } from '../router/synthesis/reliability.ts'
import type { RouterObserver } from '../router/telemetry.ts'
import type { AdviceResult } from './advise.ts'
import type { DomainSource } from './domain.ts'
import { REST } from './observe/bounded-label.ts'
import { createObservationMetrics, type ObservationMetrics } from './observe/metrics.ts'
import type { UpstreamStatus } from './upstream/upstreams.ts'
import { createUsesMetrics, type UsesMetrics } from './uses-metrics.ts'

export interface Metrics extends RouterObserver, NetworkObserver, ObservationMetrics, UsesMetrics {
  readonly registry: Registry
  /** @param seconds from the request's arrival until it was ready to be forwarded */
  adviceTaken(result: AdviceResult, evidence: Grade, seconds: number): void
  embedded(seconds: number): void
  /** `kind`: whether the path carries a question. */
  responded(kind: 'query' | 'other', status: number | 'left', seconds: number): void
  /** @param domain one of the configured, `general` or `other` */
  domainFound(domain: string, source: DomainSource): void
  clientLeft(): void
  feedbackTaken(rating: string, status: string, source: string): void
  indexFailed(): void
  totals(): Promise<Totals>
  /** Read at each scrape. */
  watchUpstreams(read: () => UpstreamStatus[]): void
  /** Read at each scrape. */
  watchDatabase(read: () => Promise<number>): void
  /** Read at each scrape. */
  watchReliability(read: () => Reliability): void
  /** Read at each scrape. */
  watchSwarm(read: () => { up: boolean; peers: number; cells: number; evidence: number }): void
}

/** Since the process started. */
export interface Totals {
  /** Proxied requests by whether their path carries a question. */
  requests: { query: number; other: number }
  /** Feedback taken, by rating. */
  feedback: Record<string, number>
}

/** How often the event loop is looked at. At prom-client's own 10 ms, looking was most of what an idle sidecar did. */
const LAG_LOOK_MS = 50

const SECONDS = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]
const EMBEDDING_SECONDS = [0.00003, ...SECONDS]
const ANSWER_SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300]

/** @param labels what of domains and models may be told there; the rest is `other` @default all of them */
export function createMetrics(labels: Pick<Labels, 'domain' | 'model'> = labelsUnder({})): Metrics {
  // A registry of our own: the global one is cleared by others.
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_LOOK_MS })

  const requests = new Counter({
    name: 'qis_requests_total',
    help: 'Proxied requests by whether the path carries a question and by the class of the status',
    labelNames: ['kind', 'status'],
    registers,
  })
  const duration = new Histogram({
    name: 'qis_request_duration_seconds',
    help: 'From the arrival of a proxied request until the last byte of its answer',
    labelNames: ['kind'],
    buckets: ANSWER_SECONDS,
    registers,
  })
  const left = new Counter({ name: 'qis_clients_left_total', help: 'Clients that left before the end', registers })
  const overhead = new Histogram({
    name: 'qis_proxy_overhead_seconds',
    help: 'From the arrival of a question until it could be forwarded: reading the body, embedding, look-up',
    buckets: SECONDS,
    registers,
  })
  const embedding = new Histogram({
    name: 'qis_embedding_seconds',
    help: 'To make a vector of a question; texts seen before take no time',
    buckets: EMBEDDING_SECONDS,
    registers,
  })
  const advice = new Counter({
    name: 'qis_advice_total',
    help: 'Questions by what came of asking for advice, and by how much is known',
    labelNames: ['result', 'evidence'],
    registers,
  })
  const domains = new Counter({
    name: 'qis_domains_total',
    help: 'Questions by domain and by what told it: client, key, path, examples or default',
    labelNames: ['domain', 'source'],
    registers,
  })
  const feedback = new Counter({
    name: 'qis_feedback_total',
    help: 'Feedback taken, by rating, by what became of it, and by who gave it',
    labelNames: ['rating', 'status', 'source'],
    registers,
  })
  const received = new Counter({
    name: 'qis_packets_received_total',
    help: 'Packets from peers by result: accepted, or why not',
    labelNames: ['result'],
    registers,
  })
  const receivedBytes = new Counter({
    name: 'qis_packet_received_bytes_total',
    help: 'Bytes of packets from peers',
    registers,
  })
  const sent = new Counter({
    name: 'qis_packets_sent_total',
    help: 'Attempts to send a packet, by whether any peer took it',
    labelNames: ['result'],
    registers,
  })
  const sentBytes = new Counter({
    name: 'qis_packet_sent_bytes_total',
    help: 'Bytes of packets that a peer took',
    registers,
  })
  const withheld = new Counter({
    name: 'qis_outcomes_withheld_total',
    help: 'Outcomes that did not leave: too few reference texts like their question, a domain that stays here, a model that no server lists, a guess of a rule under randomised response, settings that became stricter',
    labelNames: ['reason'],
    registers,
  })
  const deferred = new Counter({
    name: 'qis_packets_deferred_total',
    help: 'Times that a packet had to wait because its kind of question had its packets of the day',
    registers,
  })
  const networkEvents = new Counter({
    name: 'qis_network_events_total',
    help: 'What the network turned away, slowed down or broke off, and where it failed itself, by reason',
    labelNames: ['reason'],
    registers,
  })
  const benefit = new Gauge({
    name: 'qis_swarm_benefit',
    help: 'What listening to peers has brought of late: mean log score of advice with them minus without, nats an outcome; 0 is nothing',
    labelNames: ['domain'],
    registers,
  })
  const indexFailures = new Counter({
    name: 'qis_answer_index_failures_total',
    help: 'Failed writes of the answer index; receipts still work',
    registers,
  })

  const tellDomain = (domain: string) => (labels.domain(domain) === domain ? domain : REST)
  return {
    registry,
    ...createObservationMetrics(registry, labels.model),
    ...createUsesMetrics(registry, tellDomain),
    adviceTaken(result, evidence, seconds) {
      advice.inc({ result, evidence })
      overhead.observe(seconds)
    },
    embedded: seconds => embedding.observe(seconds),
    responded(kind, status, seconds) {
      requests.inc({ kind, status: status === 'left' ? status : `${Math.floor(status / 100)}xx` })
      duration.observe({ kind }, seconds)
    },
    domainFound: (domain, source) => domains.inc({ domain, source }),
    clientLeft: () => left.inc(),
    feedbackTaken: (rating, status, source) => feedback.inc({ rating, status, source }),
    indexFailed: () => indexFailures.inc(),
    packetReceived(result, bytes) {
      received.inc({ result })
      receivedBytes.inc(bytes)
    },
    packetSent(recipients, bytes) {
      sent.inc({ result: recipients > 0 ? 'taken' : 'nobody' })
      if (recipients > 0) sentBytes.inc(bytes)
    },
    outcomeWithheld: reason => withheld.inc({ reason }),
    departureDeferred: () => deferred.inc(),
    networkEvent: reason => networkEvents.inc({ reason }),
    benefitMeasured: ({ domain, nats }) => benefit.set({ domain: tellDomain(domain) }, nats),
    async totals() {
      return {
        requests: { query: 0, other: 0, ...sumBy('kind', await requests.get()) },
        feedback: sumBy('rating', await feedback.get()),
      }
    },
    watchUpstreams(read) {
      new Gauge({
        name: 'qis_upstream_up',
        help: 'Whether an LLM server answers; of a single one, whether the last connections to it could be made',
        labelNames: ['upstream'],
        registers,
        collect() {
          for (const { origin, up } of read()) this.set({ upstream: origin }, up ? 1 : 0)
        },
      })
    },
    watchDatabase(read) {
      new Gauge({
        name: 'qis_database_bytes',
        help: 'Size of the database and of its log on the disk',
        registers,
        async collect() {
          this.set(await read())
        },
      })
    },
    watchReliability(read) {
      new Gauge({
        name: 'qis_calibration_error',
        help: 'Mean distance between expected and observed outcomes, of what was told and of the posterior alone',
        labelNames: ['of'],
        registers,
        collect() {
          for (const [of, value = 0] of Object.entries(read().calibrationError)) this.set({ of }, value)
        },
      })
      new Gauge({
        name: 'qis_brier_score',
        help: 'Mean squared error of expected outcomes, of what was told and of the posterior alone',
        labelNames: ['of'],
        registers,
        collect() {
          for (const [of, value = 0] of Object.entries(read().brier)) this.set({ of }, value)
        },
      })
      new Gauge({
        name: 'qis_reliability',
        help: 'Rated answers by what was told of them, in tenths: how many, mean told, mean outcome',
        labelNames: ['from', 'value'],
        registers,
        collect() {
          for (const { from, count, predicted = 0, observed = 0 } of read().bins) {
            this.set({ from, value: 'count' }, count)
            this.set({ from, value: 'predicted' }, predicted)
            this.set({ from, value: 'observed' }, observed)
          }
        },
      })
    },
    watchSwarm(read) {
      const gauge = (name: string, help: string, value: () => number) =>
        new Gauge({
          name,
          help,
          registers,
          collect() {
            this.set(value())
          },
        })
      gauge('qis_network_up', 'Whether the network runs; it is tried again while it does not', () => Number(read().up))
      gauge('qis_peers', 'Peers connected to', () => read().peers)
      gauge('qis_cells', 'Kinds of question this node has joined', () => read().cells)
      gauge('qis_evidence', 'Live outcomes in memory, own and of peers', () => read().evidence)
    },
  }
}

function sumBy<T extends string>(
  label: T,
  { values }: { values: { value: number; labels: Partial<Record<T, string | number>> }[] },
): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const { labels, value } of values) {
    const name = String(labels[label])
    sums[name] = (sums[name] ?? 0) + value
  }
  return sums
}
