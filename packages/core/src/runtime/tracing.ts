import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel'
import type { BatchTrigger, EntryOutcome, Reason, SubmitOutcome } from '../sink/spi.ts'

/**
 * Names of the tracing channels of `node:diagnostics_channel`; pass one to `tracingChannel(name)`.
 *
 * | channel | one event for each | message |
 * | --- | --- | --- |
 * | `sluice:sink:submit` | request of a sink, repeats included: from before `submit` until it said what became of it | {@link SinkSubmitMessage} |
 * | `sluice:checkpoint` | checkpoint: from its barrier until it is stored or given up | {@link CheckpointMessage} |
 * | `sluice:source:fetch` | fetch of one split by a source that uses `SourceReaderBase`, empty ones included | {@link SourceFetchMessage} |
 * | `sluice:dead-letter:deliver` | try to store a dead letter: from before the first byte until it is confirmed | {@link DeadLetterDeliverMessage} |
 *
 * Events come in the order of Node's `TracingChannel.tracePromise`: `start`, `end`, then `asyncStart`, `asyncEnd` when the work
 * has ended; where it threw, `error` comes before `asyncStart`. All of them carry one message object: `result` is on it from
 * `asyncStart` on, and `error`, as it was thrown, from `error` on. Messages hold facts, never the content of records; what a
 * service or a function of yours puts into an error's text is theirs.
 *
 * Without subscribers a channel costs one look at a field for each event, none for a record.
 *
 * A subscriber that throws does not disturb what is traced: Node.js raises its error as `uncaughtException` in the next tick, which
 * ends the process unless something handles it. Catch within subscribers.
 *
 * See https://nodejs.org/api/diagnostics_channel.html#class-tracingchannel
 *
 * @example
 * ```ts
 * tracingChannel<string, SinkSubmitMessage>(TRACING_CHANNELS.sinkSubmit).subscribe({
 *   start() {},
 *   end() {},
 *   asyncStart() {},
 *   asyncEnd: ({ sink, entries, result }) => console.log(sink, entries, result?.outcome),
 *   error: ({ sink, error }) => console.log(sink, error),
 * })
 * ```
 */
export const TRACING_CHANNELS: {
  readonly sinkSubmit: 'sluice:sink:submit'
  readonly checkpoint: 'sluice:checkpoint'
  readonly sourceFetch: 'sluice:source:fetch'
  readonly deadLetterDeliver: 'sluice:dead-letter:deliver'
} = Object.freeze({
  sinkSubmit: 'sluice:sink:submit',
  checkpoint: 'sluice:checkpoint',
  sourceFetch: 'sluice:source:fetch',
  deadLetterDeliver: 'sluice:dead-letter:deliver',
})

/** What every message has: facts that are known at the start, and how it ended. */
export interface TracingMessage<Result> {
  /** Name of the job, where the traced part belongs to one and knows it. */
  readonly job?: string
  /** How it ended; absent before, and when it threw. */
  readonly result?: Result
  /** What was thrown. */
  readonly error?: unknown
}

/** Message of `sluice:sink:submit`. It ends when `submit` does, which may be after `requestTimeoutMs`: the request is repeated by then. */
export interface SinkSubmitMessage extends TracingMessage<SinkSubmitResult> {
  /** The sink's uid. */
  readonly sink: string
  /** Table, queue, tenant; '' where the sink has one. */
  readonly destination: string
  /** Entries in the request. */
  readonly entries: number
  /** Bytes of the entries, as the sink's `sizeInBytes` counts them; 0 without one. */
  readonly bytes: number
  /** The highest count of tries of any entry, this one included: 1 for a first request. */
  readonly attempt: number
  /** Why the request was sent. */
  readonly trigger: BatchTrigger
}

export interface SinkSubmitResult {
  /** The form of the outcome; `malformed` for one that says nothing about the entries, which are then asked for one by one. */
  readonly outcome: 'allWritten' | 'entries' | 'retryAll' | 'isolate' | 'tooLarge' | 'fail' | 'malformed'
  /** Code of the reason or of the error, for the request as a whole. */
  readonly code?: string
  readonly requestId?: string
  /** True when the request ended without an answer and may have been applied. */
  readonly unknown?: boolean
  /** Entries by outcome, where the store answered for each. */
  readonly counts?: Readonly<Partial<Record<EntryOutcome['kind'], number>>>
}

/** Message of `sluice:checkpoint`. */
export interface CheckpointMessage extends TracingMessage<CheckpointResult> {
  readonly id: number
  /** Its interval was over, a part asked for it, or everything was read. */
  readonly trigger: 'interval' | 'request' | 'final'
  /** Inputs emitted before the barrier and not yet covered by a checkpoint. */
  readonly covers: number
}

export interface CheckpointResult {
  /** Not stored because its time was over, because splits were released that it waited for, or because the attempt ended first. */
  readonly outcome: 'stored' | 'timedOut' | 'released' | 'stopped'
  /** Bytes that were stored. */
  readonly bytes?: number
}

/** Message of `sluice:source:fetch`. A close of the reader aborts the fetches under way: they end with an error. */
export interface SourceFetchMessage extends TracingMessage<SourceFetchResult> {
  /** The source's uid. */
  readonly source: string
  readonly split: string
}

export interface SourceFetchResult {
  readonly records: number
  /** Raw bytes of the records. */
  readonly bytes: number
  /** Milliseconds behind the end of the split, as the service says. */
  readonly millisBehindLatest?: number
  /** Nothing comes after this fetch. */
  readonly lastOfSplit: boolean
}

/** Message of `sluice:dead-letter:deliver`. There is no result: it ends with the confirmation or with an error. */
export interface DeadLetterDeliverMessage extends TracingMessage<undefined> {
  /** The letter's id: the same for every try and every repeat. */
  readonly id: string
  /** The uid of the sink that refused the record; absent when none had it yet. */
  readonly sink?: string
  /** Where the record was refused: `decode`, `operator`, `convert` or `store`. */
  readonly stage: string
  /** Code of the reason. */
  readonly code: string
  readonly source?: string
  readonly split?: string
  /** Where the record lies in the split. */
  readonly position?: string
}

type Channel<Message extends object> = TracingChannel<string, Message>

const sinkSubmit: Channel<SinkSubmitMessage> = tracingChannel(TRACING_CHANNELS.sinkSubmit)
const checkpoint: Channel<CheckpointMessage> = tracingChannel(TRACING_CHANNELS.checkpoint)
const sourceFetch: Channel<SourceFetchMessage> = tracingChannel(TRACING_CHANNELS.sourceFetch)
const deadLetterDeliver: Channel<DeadLetterDeliverMessage> = tracingChannel(TRACING_CHANNELS.deadLetterDeliver)

/** Runs one request of a sink; the message should be made anew for each. */
export function traceSubmit(message: SinkSubmitMessage, fn: () => Promise<SubmitOutcome>): Promise<SubmitOutcome> {
  return sinkSubmit.hasSubscribers ? traced(sinkSubmit, message, fn, submitResult) : fn()
}

/** Runs one checkpoint, from its barrier on. */
export function traceCheckpoint(
  message: CheckpointMessage,
  fn: () => Promise<CheckpointResult>,
): Promise<CheckpointResult> {
  return checkpoint.hasSubscribers ? traced(checkpoint, message, fn, (result) => result) : fn()
}

/** Runs one fetch of a split; `describe` is called only for subscribers. */
export function traceFetch<Fetched>(
  message: SourceFetchMessage,
  fn: () => Promise<Fetched>,
  describe: (fetched: Fetched) => SourceFetchResult,
): Promise<Fetched> {
  return sourceFetch.hasSubscribers ? traced(sourceFetch, message, fn, describe) : fn()
}

/** Runs one try to store a dead letter. */
export function traceDeadLetter(message: DeadLetterDeliverMessage, fn: () => Promise<void>): Promise<void> {
  return deadLetterDeliver.hasSubscribers ? traced(deadLetterDeliver, message, fn, () => undefined) : fn()
}

/** Subscribers see what `describe` says of the result, never the result itself: it may hold records. */
async function traced<Message extends object, Result>(
  channel: Channel<Message>,
  message: Message,
  fn: () => Promise<Result>,
  describe: (result: Result) => unknown,
): Promise<Result> {
  let result!: Result
  await channel.tracePromise(async () => {
    result = await fn()
    return describe(result)
  }, message)
  return result
}

/** Total: a sink may return anything. */
function submitResult(outcome: SubmitOutcome): SinkSubmitResult {
  if (typeof outcome !== 'object' || outcome === null) return MALFORMED
  if ('allWritten' in outcome) return outcome.allWritten ? { outcome: 'allWritten' } : MALFORMED
  if ('entries' in outcome) {
    return Array.isArray(outcome.entries) ? { outcome: 'entries', counts: countsOf(outcome.entries) } : MALFORMED
  }
  if ('retryAll' in outcome) {
    return { outcome: 'retryAll', ...factsOf(outcome.retryAll), unknown: outcome.unknown ?? false }
  }
  if ('isolate' in outcome) return { outcome: 'isolate', ...factsOf(outcome.isolate) }
  if ('tooLarge' in outcome) return { outcome: 'tooLarge', ...factsOf(outcome.tooLarge) }
  return 'fail' in outcome ? { outcome: 'fail', ...factsOf(outcome.fail) } : MALFORMED
}

const MALFORMED: SinkSubmitResult = Object.freeze({ outcome: 'malformed' })

function factsOf(reason: Pick<Reason, 'code' | 'requestId'> | undefined): Pick<SinkSubmitResult, 'code' | 'requestId'> {
  const { code, requestId } = reason ?? {}
  return { ...(code === undefined ? {} : { code }), ...(requestId === undefined ? {} : { requestId }) }
}

function countsOf(outcomes: readonly (EntryOutcome | undefined)[]): NonNullable<SinkSubmitResult['counts']> {
  const counts: Partial<Record<EntryOutcome['kind'], number>> = {}
  for (const outcome of outcomes)
    if (outcome?.kind !== undefined) counts[outcome.kind] = (counts[outcome.kind] ?? 0) + 1
  return counts
}
