import type { MetricDefinition } from './registry.ts'

type Name = 'numRecordsIn' | 'numBytesIn' | 'numRecordsInErrors' | 'millisBehindLatest' | 'currentEmitEventTimeLag'

/** Metrics of every source, under FLIP-33's names. */
export const SOURCE_METRICS: Readonly<Record<Name, MetricDefinition>> = {
  numRecordsIn: { name: 'numRecordsIn', kind: 'counter', unit: 'records', help: 'Records fetched.' },
  numBytesIn: { name: 'numBytesIn', kind: 'counter', unit: 'bytes', help: 'Raw bytes of the records fetched.' },
  numRecordsInErrors: {
    name: 'numRecordsInErrors',
    kind: 'counter',
    unit: 'records',
    help: 'Records that decode or an operator refused.',
  },
  millisBehindLatest: {
    name: 'millisBehindLatest',
    kind: 'gauge',
    unit: 'milliseconds',
    help: 'How far the last fetch was behind the end of the split, as the service says (label split).',
  },
  currentEmitEventTimeLag: {
    name: 'currentEmitEventTimeLag',
    kind: 'gauge',
    unit: 'milliseconds',
    help: 'Wall clock at emission minus the event time of the record emitted last.',
  },
}
