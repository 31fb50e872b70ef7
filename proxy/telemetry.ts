/** Tells an OpenTelemetry collector of every feedback, in the words of its conventions for generative AI. No text leaves. */

/** One feedback that was taken. */
export interface Evaluation {
  /** Unknown while its answer has not ended. */
  requestId?: string | undefined
  /** The completion's `id`, once the answer has ended. */
  responseId?: string | undefined
  source: string
  /** `up`, `down`, `revoked` or `none`. */
  rating: string
  /** 0 bad … 1 good; undefined when nothing was said of that. */
  signal?: number | undefined
  status: string
}

export interface Telemetry extends AsyncDisposable {
  /** Returns at once; what cannot be sent is dropped. */
  evaluated(evaluation: Evaluation): void
}

export interface TelemetryOptions {
  /** Base URL of the collector's OTLP/HTTP receiver. */
  endpoint: string
  /** How long an event waits for others. @default 1000 */
  delayMs?: number
}

/** https://github.com/open-telemetry/semantic-conventions-genai: an event of this name for each evaluation. */
const EVENT = 'gen_ai.evaluation.result'
/** More than that waiting, for a collector that is away, and the newest are dropped. */
const MAX_WAITING = 2_048
const EXPORT_DEADLINE_MS = 2_000

/** Loads the OpenTelemetry packages only now, since few have a collector. */
export async function createTelemetry({ endpoint, delayMs = 1_000 }: TelemetryOptions): Promise<Telemetry> {
  const [{ OTLPLogExporter }, { BatchLogRecordProcessor, LoggerProvider }, { resourceFromAttributes }] =
    await Promise.all([
      import('@opentelemetry/exporter-logs-otlp-http'),
      import('@opentelemetry/sdk-logs'),
      import('@opentelemetry/resources'),
    ])
  const exporter = new OTLPLogExporter({
    url: `${endpoint.replace(/\/$/, '')}/v1/logs`,
    timeoutMillis: EXPORT_DEADLINE_MS,
  })
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ 'service.name': 'qis-sidecar' }),
    processors: [
      new BatchLogRecordProcessor({
        exporter,
        maxQueueSize: MAX_WAITING,
        scheduledDelayMillis: delayMs,
        exportTimeoutMillis: EXPORT_DEADLINE_MS,
      }),
    ],
  })
  const logger = provider.getLogger('qis-sidecar')

  return {
    evaluated({ requestId, responseId, source, rating, signal, status }) {
      logger.emit({
        eventName: EVENT,
        attributes: {
          'gen_ai.evaluation.name': `${source}_feedback`,
          ...(signal !== undefined && { 'gen_ai.evaluation.score.value': signal }),
          'gen_ai.evaluation.score.label': rating,
          ...(responseId !== undefined && { 'gen_ai.response.id': responseId }),
          ...(requestId !== undefined && { 'qis.request.id': requestId }),
          'qis.feedback.status': status,
        },
      })
    },
    [Symbol.asyncDispose]: () => provider.shutdown().then(() => undefined),
  }
}
