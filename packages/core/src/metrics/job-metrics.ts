import type { MetricDefinition } from './registry.ts'

type Name =
  | 'numRecordsEmitted'
  | 'numberOfCompletedCheckpoints'
  | 'numberOfFailedCheckpoints'
  | 'numAcknowledgementsFailed'
  | 'lastCheckpointDuration'
  | 'lastCheckpointSize'
  | 'numRestarts'
  | 'unsettledRecords'
  | 'retainedBytes'
  | 'repeatIfKilledNow'
  | 'numLateSettlements'
  | 'eventLoopDelayP99Ms'
  | 'numDeadLetters'
  | 'numDeadLetterErrors'
  | 'pendingDeadLetters'

/** Metrics of a job; checkpoint metrics carry Flink's names. */
export const JOB_METRICS: Readonly<Record<Name, MetricDefinition>> = {
  numRecordsEmitted: {
    name: 'numRecordsEmitted',
    kind: 'counter',
    unit: 'records',
    help: 'Inputs handed to operators and sinks.',
  },
  numberOfCompletedCheckpoints: {
    name: 'numberOfCompletedCheckpoints',
    kind: 'counter',
    unit: 'checkpoints',
    help: 'Checkpoints stored.',
  },
  numberOfFailedCheckpoints: {
    name: 'numberOfFailedCheckpoints',
    kind: 'counter',
    unit: 'checkpoints',
    help: 'Checkpoints that ran into their timeout or could not be stored.',
  },
  numAcknowledgementsFailed: {
    name: 'numAcknowledgementsFailed',
    kind: 'counter',
    unit: 'events',
    help: 'Acknowledgements that the source did not take; the next checkpoint repeats them.',
  },
  lastCheckpointDuration: {
    name: 'lastCheckpointDuration',
    kind: 'gauge',
    unit: 'milliseconds',
    help: 'Time from barrier to stored of the checkpoint completed last.',
  },
  lastCheckpointSize: {
    name: 'lastCheckpointSize',
    kind: 'gauge',
    unit: 'bytes',
    help: 'Bytes of the checkpoint completed last.',
  },
  numRestarts: { name: 'numRestarts', kind: 'counter', unit: 'restarts', help: 'Attempts after the first.' },
  unsettledRecords: {
    name: 'unsettledRecords',
    kind: 'gauge',
    unit: 'records',
    help: 'Inputs emitted and not settled.',
  },
  retainedBytes: {
    name: 'retainedBytes',
    kind: 'gauge',
    unit: 'bytes',
    help: 'Raw bytes of the fetched batches that have unsettled inputs.',
  },
  repeatIfKilledNow: {
    name: 'repeatIfKilledNow',
    kind: 'gauge',
    unit: 'records',
    help: 'Inputs emitted since the last completed checkpoint: what a kill now would repeat.',
  },
  numLateSettlements: {
    name: 'numLateSettlements',
    kind: 'counter',
    unit: 'events',
    help: 'Outcomes that came after their attempt had ended; they are ignored.',
  },
  numDeadLetters: {
    name: 'numDeadLetters',
    kind: 'counter',
    unit: 'records',
    help: 'Dead letters confirmed, by stage of the refusal; repeats of a letter after a restart included.',
  },
  numDeadLetterErrors: {
    name: 'numDeadLetterErrors',
    kind: 'counter',
    unit: 'events',
    help: 'Tries to deliver a dead letter that failed or ran into their timeout.',
  },
  pendingDeadLetters: {
    name: 'pendingDeadLetters',
    kind: 'gauge',
    unit: 'records',
    help: 'Refused records whose dead letter is not confirmed.',
  },
  eventLoopDelayP99Ms: {
    name: 'eventLoopDelayP99Ms',
    kind: 'gauge',
    unit: 'milliseconds',
    help: 'How late the event loop of the process called back, 99th percentile over the last full 10 s.',
  },
}
