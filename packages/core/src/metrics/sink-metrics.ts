import type { Counter, MetricDefinition, MetricGroup } from './registry.ts'

type CounterName =
  | 'numRecordsSend'
  | 'numBytesSend'
  | 'numRecordsOut'
  | 'numBytesOut'
  | 'numRecordsSendErrors'
  | 'numRecordsAccepted'
  | 'numRecordsDuplicate'
  | 'numRecordsDropped'
  | 'numRecordsDeadLettered'
  | 'numRecordsReturned'
  | 'numRecordsAbandoned'
  | 'numRecordsRetried'
  | 'numRequests'
  | 'numRequestsUnknown'
  | 'numRequestsThrottled'
  | 'numLateAnswers'
  | 'numBatches'

type GaugeName = 'inHand' | 'bufferedRecords' | 'bufferedBytes' | 'inFlightRequests' | 'currentSendTime'

/** Metrics of every sink: FLIP-33 and FLIP-171 names, and the terms of the accounting identity. */
export const SINK_METRICS: Readonly<Record<CounterName | GaugeName, MetricDefinition>> = {
  numRecordsSend: counter(
    'numRecordsSend',
    'records',
    'Entries sent, counted at their first request and never again on a retry.',
  ),
  numBytesSend: counter('numBytesSend', 'bytes', 'Bytes of the entries sent, counted with numRecordsSend.'),
  numRecordsOut: counter('numRecordsOut', 'records', 'Entries that the store confirmed as written.'),
  numBytesOut: counter('numBytesOut', 'bytes', 'Bytes of the entries that the store confirmed as written.'),
  numRecordsSendErrors: counter(
    'numRecordsSendErrors',
    'records',
    'Tries of entries that did not end as written or duplicate.',
  ),
  numRecordsAccepted: counter('numRecordsAccepted', 'records', 'Entries that the writer took over.'),
  numRecordsDuplicate: counter(
    'numRecordsDuplicate',
    'records',
    'Entries that the store confirmed to hold already, with this very value.',
  ),
  numRecordsDropped: counter('numRecordsDropped', 'records', 'Entries given up by a policy that the user chose.'),
  numRecordsDeadLettered: counter('numRecordsDeadLettered', 'records', 'Entries whose dead letter was confirmed.'),
  numRecordsReturned: counter(
    'numRecordsReturned',
    'records',
    'Entries given back to a source that delivers them again.',
  ),
  numRecordsAbandoned: counter(
    'numRecordsAbandoned',
    'records',
    'Entries in hand when an attempt ended; their inputs are replayed.',
  ),
  numRecordsRetried: counter('numRecordsRetried', 'records', 'Entries put back to be sent again.'),
  numRequests: counter('numRequests', 'requests', 'Requests sent, repeats included.'),
  numRequestsUnknown: counter(
    'numRequestsUnknown',
    'requests',
    'Requests that ended without an answer: they may have been applied, and are repeated.',
  ),
  numRequestsThrottled: counter('numRequestsThrottled', 'requests', 'Requests that the store asked to slow down for.'),
  numLateAnswers: counter(
    'numLateAnswers',
    'requests',
    'Answers that came after their deadline or after the end of the attempt; they are ignored.',
  ),
  numBatches: counter(
    'numBatches',
    'batches',
    'Requests by what triggered them (label trigger: size, weight, time, hasten, retry, isolate).',
  ),
  inHand: gauge('inHand', 'records', 'Entries without an outcome, counted where they lie.'),
  bufferedRecords: gauge(
    'bufferedRecords',
    'records',
    'Entries in the buffer, those that wait to be retried or for their dead letter included.',
  ),
  bufferedBytes: gauge(
    'bufferedBytes',
    'bytes',
    'Raw bytes and entry bytes held by the buffer and by requests in flight.',
  ),
  inFlightRequests: gauge('inFlightRequests', 'requests', 'Requests without an answer.'),
  currentSendTime: gauge(
    'currentSendTime',
    'milliseconds',
    'Time from sending to the answer of the request that ended last.',
  ),
}

/** The counters of one sink. */
export type SinkCounters = Readonly<Record<Exclude<CounterName, 'numBatches'>, Counter>>

export function sinkCounters(group: MetricGroup): SinkCounters {
  const entries = Object.values(SINK_METRICS)
    .filter((definition) => definition.kind === 'counter' && definition.name !== 'numBatches')
    .map((definition) => [definition.name, group.counter(definition)])
  return Object.fromEntries(entries) as SinkCounters
}

function counter(name: string, unit: MetricDefinition['unit'], help: string): MetricDefinition {
  return { name, kind: 'counter', unit, help }
}

function gauge(name: string, unit: MetricDefinition['unit'], help: string): MetricDefinition {
  return { name, kind: 'gauge', unit, help }
}
