import type { MetricDefinition } from './registry.ts'

type Name =
  | 'numRecordsIn'
  | 'numBytesIn'
  | 'numRecordsInErrors'
  | 'currentFetchEventTimeLag'
  | 'currentEmitEventTimeLag'
  | 'sourceIdleTime'
  | 'pendingRecords'
  | 'pendingBytes'
  | 'millisBehindLatest'
  | 'numPositionsLost'
  | 'numRecordsSkipped'

/**
 * Metrics of every source, under FLIP-33's names and with their meaning: gauges hold last values, and one that cannot be known is
 * absent rather than -1. There are no watermarks, hence no `watermarkLag`; rates (`numRecordsInPerSecond`) are what an exporter
 * makes of the counters.
 */
export const SOURCE_METRICS: Readonly<Record<Name, MetricDefinition>> = {
  numRecordsIn: { name: 'numRecordsIn', kind: 'counter', unit: 'records', help: 'Records fetched.' },
  numBytesIn: { name: 'numBytesIn', kind: 'counter', unit: 'bytes', help: 'Raw bytes of the records fetched.' },
  numRecordsInErrors: {
    name: 'numRecordsInErrors',
    kind: 'counter',
    unit: 'records',
    help: 'Records that decode or an operator refused.',
  },
  currentFetchEventTimeLag: {
    name: 'currentFetchEventTimeLag',
    kind: 'gauge',
    unit: 'milliseconds',
    help: 'Wall clock at the last fetch minus the event time of its last record (label subtask); absent until a record has one.',
  },
  currentEmitEventTimeLag: {
    name: 'currentEmitEventTimeLag',
    kind: 'gauge',
    unit: 'milliseconds',
    help: 'Wall clock at emission minus the event time of the record emitted last (label subtask); absent until a record has one.',
  },
  sourceIdleTime: {
    name: 'sourceIdleTime',
    kind: 'gauge',
    unit: 'milliseconds',
    help: 'For how long a reader has had no record to emit; 0 while it has (label subtask).',
  },
  pendingRecords: {
    name: 'pendingRecords',
    kind: 'gauge',
    unit: 'records',
    help: 'Records that the service has and that were not fetched, as it said last (label subtask); absent where it does not say.',
  },
  pendingBytes: {
    name: 'pendingBytes',
    kind: 'gauge',
    unit: 'bytes',
    help: 'Bytes that the service has and that were not fetched, as it said last (label subtask); absent where it does not say.',
  },
  millisBehindLatest: {
    name: 'millisBehindLatest',
    kind: 'gauge',
    unit: 'milliseconds',
    help: 'How far the last fetch was behind the end of the split, as the service says (label split).',
  },
  numPositionsLost: {
    name: 'numPositionsLost',
    kind: 'counter',
    unit: 'events',
    help: 'Positions that the service no longer had and that were given up for another (option onPositionLost).',
  },
  numRecordsSkipped: {
    name: 'numRecordsSkipped',
    kind: 'counter',
    unit: 'records',
    help: 'Records between a lost position and the one that reading went on at, where the source can tell.',
  },
}
