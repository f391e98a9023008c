import { describeSink, type SentEntry, type SinkRecord, type SinkStage, type StoreAnswer } from '@sluice/core/testing'
import { afterAll, describe, test } from 'vitest'
import type { PrometheusTimeSeries } from '../src/model.ts'
import { PrometheusSink } from '../src/sink.ts'
import { decode, type SentSeries } from './decode.ts'
import { type FakeAnswer, FakeDispatcher } from './fake-dispatcher.ts'

const BASE_MS = 1_700_000_000_000

function toSeries({ key, sequence, entries, conversionThrows }: SinkRecord): readonly PrometheusTimeSeries[] {
  const series = Array.from({ length: entries }, (_, part) => ({
    metricName: 'kit',
    labels: { key },
    samples: [{ value: sequence * 1.5, timestamp: BASE_MS + sequence * 1000 + part }],
  }))
  // The last one breaks a rule of the protocol.
  return conversionThrows ? [...series, { metricName: 'not a name', samples: [] }] : series
}

/** The samples of a series: what a receiver recognises a repeat by are labels and time. */
function toEntries({ labels, samples }: SentSeries): readonly SentEntry[] {
  return samples.map(({ value, timestamp }) => ({
    key: labels['key'] ?? '',
    sequence: Math.floor((timestamp - BASE_MS) / 1000),
    part: (timestamp - BASE_MS) % 1000,
    content: JSON.stringify([labels, value, timestamp]),
    identity: JSON.stringify([labels, timestamp]),
  }))
}

function toAnswer(answer: StoreAnswer): FakeAnswer {
  switch (answer.kind) {
    case 'stored':
      return { status: 204 }
    case 'throttled': {
      const { afterMs } = answer
      return { status: 429, ...(afterMs === undefined ? {} : { headers: { 'retry-after': String(afterMs / 1000) } }) }
    }
    case 'unavailable':
      return { status: 503, text: 'try again' }
    case 'cut':
      return { error: Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' }) }
    case 'refused':
      return { status: 400, text: 'out of bounds' }
    case 'conflict':
      return { status: 400, text: 'duplicate sample for timestamp' }
    case 'tooLarge':
      return { status: 413, text: 'too large' }
    case 'denied':
      return { status: 403, text: 'not you' }
    case 'meaningless':
      return { status: 304 }
    case 'threw':
      return { error: new TypeError('the client is broken') }
    case 'entries':
    case 'short':
      break
  }
  throw new Error(`the receiver has no answer for ${answer.kind}`)
}

function receiverOf({ store }: SinkStage): FakeDispatcher {
  return new FakeDispatcher(async ({ headers, body }) => {
    const entries = decode(body, headers['content-type']).flatMap(toEntries)
    const answer = toAnswer(await store.receive(entries, headers['x-scope-orgid'] ?? ''))
    if (!('status' in answer) || answer.status !== 204) return answer
    return { ...answer, headers: { 'x-prometheus-remote-write-samples-written': String(entries.length) } }
  })
}

// With auto each destination ends with 2.0.
const PROTOCOLS = ['1.0', 'auto'] as const

PROTOCOLS.forEach((protocol) =>
  describeSink<SinkRecord>(
    { describe, test, afterAll },
    {
      name: `PrometheusSink, remote write ${protocol}`,
      abilities: {
        answers: 'request',
        repeats: 'idempotent',
        orderKey: 'own',
        destinations: true,
        entryRetries: false,
        namedRefusals: false,
        wholeRefusals: true,
        conflicts: true,
        tooLarge: true,
        throttling: 'retryAfter',
        callerFaults: true,
        conversionRefusals: true,
        fanOut: true,
        explain: true,
      },
      valueFor: (record) => record,
      create: (stage) => {
        const { maxBatchSize, retry, ...limits } = stage.limits
        return new PrometheusSink<SinkRecord>({
          ...limits,
          protocol,
          prometheusRemoteWriteUrl: 'http://receiver/api/v1/write',
          maxBatchSizeInSamples: maxBatchSize,
          // Of these the kit wants fewer than the sink's own.
          socketTimeoutMs: 1,
          retryConfiguration: {
            initialRetryDelayMS: retry.initialDelayMs,
            maxRetryDelayMS: retry.maxDelayMs,
            maxRetryCount: retry.maxAttempts,
          },
          errorHandlingBehaviorConfiguration: { onPrometheusNonRetriableError: 'FAIL' },
          elementConverter: toSeries,
          tenant: ({ destination }) => destination,
          dispatcher: receiverOf(stage),
        })
      },
      decodeExplained: (entry) => {
        const [decoded] = toEntries(entry as SentSeries)
        if (decoded === undefined) throw new Error('an entry without samples')
        return decoded
      },
    },
  ),
)
