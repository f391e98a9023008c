import type { SluiceError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { MetricGroup } from '../metrics/registry.ts'
import type { Random } from '../runtime/backoff.ts'
import type { Clock } from '../runtime/clock.ts'

/** Version of the contract between core, sources and sinks. A mismatch is one clear error at `sinkTo` or `stream`. */
export const SPI_VERSION = 1

/** Where records go. One writer is made per sink and attempt of a job, shared by all subtasks. */
export interface Sink<In> {
  readonly spiVersion: number
  /** Names the sink in metrics, errors and state; unique within a job. */
  readonly uid: string
  /** What a repeated request does to the store: the same value again, a newer version, or a second record. */
  readonly repeats: 'idempotent' | 'versioned' | 'duplicated'
  createWriter(context: SinkContext): Promise<SinkWriter<In>> | SinkWriter<In>
  /**
   * What would be sent for the value, what it would cost and what would be refused: offline, and without a change of any state.
   * Never throws for a bad value: that is what it tells.
   */
  explain?(value: In): Explanation
}

/** What a sink would do with one value. */
export interface Explanation {
  /** The entries that the value becomes, in the form in which they are sent; empty when it is filtered out. */
  readonly entries: readonly ExplainedEntry[]
  /** Why the value as a whole would be refused: then there are no entries. */
  readonly refusal?: Reason
}

/** One entry as it would be sent. */
export interface ExplainedEntry {
  readonly entry: unknown
  readonly sizeInBytes: number
  /** In the unit of the sink's `maxBatchWeight`. */
  readonly weight: number
  readonly destination?: string
  /** Units that the service bills, by name: `writes of 1 KiB`. */
  readonly billed?: Readonly<Record<string, number>>
  /** Every reason for which it would be refused; empty when it would be sent. */
  readonly refusals: readonly Reason[]
}

/** What core gives to a writer. */
export interface SinkContext {
  readonly sinkUid: string
  readonly logger: Logger
  readonly metrics: MetricGroup
  readonly clock: Clock
  readonly random: Random
  readonly settlement: Settlement
  /** True when `keyBy` gives every value an order key: batches then have `keys`. @default false */
  readonly keyed?: boolean
  /** True when a record that this sink refuses has somewhere to go; otherwise a refusal ends the attempt. @default false */
  readonly hasDeadLetters?: boolean
  /** Ends the attempt with this error; the first call counts. */
  fail(error: SluiceError): void
  /**
   * Asks for a checkpoint before its interval is over. It begins as soon as none is open and `minPauseMs` have passed; what is
   * asked meanwhile becomes one. The reason goes to the log.
   */
  requestCheckpoint(reason: string): void
}

/** The writer's side of the tracker: every entry that was accepted is settled exactly once, or it stays in hand. */
export interface Settlement {
  /** The input of this token became `entries` entries instead of one: none settles this sink's share at once. */
  became(token: number, entries: number): void
  /** One entry of this token has a final outcome: written, duplicate, dropped or dead-lettered. */
  settle(token: number): void
  /** As {@link Settlement.settle} for the first `count` tokens of the list. */
  settleAll(tokens: Float64Array, count: number): void
  /** One entry of this token is given back: its input is neither settled nor waited for; the source delivers it again. */
  returned(token: number): void
  /** True when the split of this token was given back: what is unsettled of it is to be returned, not sent again. */
  isReleased(token: number): boolean
  /** True when the input lies before the position that had been emitted when the attempt or process before this one ended. */
  isReplaySuspect(token: number): boolean
  /**
   * The record is refused for itself (decode, converter or store). Core decides: without dead letters the job fails and the
   * entry stays in hand; true means that the letter was taken and the entry may be settled.
   */
  refused(refusal: Refusal): Promise<boolean>
}

/** A record that is refused for itself, with what its dead letter needs. */
export interface Refusal {
  readonly token: number
  readonly stage: 'decode' | 'operator' | 'convert' | 'store'
  readonly reason: Reason
  /** What was converted, where the refusal came before there was an entry. */
  readonly value?: unknown
  readonly entry?: unknown
  /** Tries that were made; 0 for a record that was never sent. */
  readonly attempts: number
  /** Monotonic time of the first failed try; absent when there was none before this refusal. */
  readonly firstFailedAt?: number
}

/** Why an entry or a request did not end as written. */
export interface Reason {
  /** Stable and short, for metrics and programs: `ThrottlingException`, `timeout`, `RejectedRecord`. */
  readonly code: string
  readonly message: string
  readonly requestId?: string
  readonly cause?: unknown
}

/** Values for a sink, with what the tracker needs. Index i of each list belongs together; the writer must not keep the lists. */
export interface WriteBatch<In> {
  readonly values: readonly In[]
  readonly tokens: Float64Array
  /** Bytes of the raw input, 0 for a further value of the same input. */
  readonly byteLengths: Uint32Array
  /** Order keys from `keyBy`; they win over the writer's own. See {@link SinkContext.keyed}. */
  readonly keys?: Float64Array
}

/** Takes values, and settles each when its entries have an outcome. Extend `AsyncSinkWriter` rather than implement it. */
export interface SinkWriter<In> extends AsyncDisposable {
  /**
   * Takes values `from` (inclusive) to `to` (exclusive), in order, as far as there is room. Never waits.
   *
   * @returns the index of the first value not taken; if it is less than `to`, await {@link SinkWriter.ready} and offer the rest.
   */
  write(batch: WriteBatch<In>, from: number, to: number): number
  /** Resolves when there may be room again. False wake-ups are allowed. */
  ready(): Promise<void>
  /** Sends partial batches now instead of at their age. */
  hasten(): void
  /**
   * The split was given back: its entries that are not in flight end as `returned`, and those in flight do unless their answer
   * settles them. Call after `Settlement.isReleased` has become true for its inputs.
   *
   * @returns how many entries were returned at once.
   */
  release(splitId: string): number
  /**
   * Ends the writer: accepts nothing more, aborts requests in flight and waits `deadlineMs` milliseconds for them. Entries without an
   * outcome end as `abandoned`. Idempotent.
   */
  close(deadlineMs: number): Promise<void>
  /** Figures for `status()`. */
  status(): SinkStatus
}

/** Figures of one writer, for this attempt of the job. */
export interface SinkStatus {
  readonly accepted: number
  readonly written: number
  readonly duplicate: number
  readonly dropped: number
  readonly deadLettered: number
  readonly returned: number
  readonly abandoned: number
  /** Entries in the buffer, waiting to be retried and in flight: counted where they lie. */
  readonly inHand: number
  /** Entries that count against `maxBufferedRequests`: to be sent, to be retried, or refused and not yet dead-lettered. */
  readonly bufferedRecords: number
  readonly retryingRecords: number
  readonly inFlightRecords: number
  readonly inFlightRequests: number
  readonly bufferedBytes: number
  /** Destinations that the store has slowed down, some of them if there are many. */
  readonly slowed?: readonly {
    /** '' where the sink has one only. */
    readonly destination: string
    readonly maxInFlightRequests: number
    /** Milliseconds for which nothing is sent to it, as the store asked. */
    readonly pausedMs: number
  }[]
  /** Age of the oldest entry without an outcome, and why it has none. */
  readonly oldest?: { readonly ageMs: number; readonly reason: string }
}

/** The store confirmed every entry of the request. */
export const ALL_WRITTEN: { readonly allWritten: true } = Object.freeze({ allWritten: true })

/** What became of one entry of a request. */
export type EntryOutcome =
  | { readonly kind: 'written' }
  /** The store confirmed that it holds this very value. A value that conflicts with what the store holds is not a duplicate. */
  | { readonly kind: 'duplicate' }
  /** Given up by a policy that the user chose. */
  | { readonly kind: 'dropped'; readonly reason: Reason }
  /**
   * To be sent again, after at least `afterMs`. `isTry: false`: the store was not asked for it, or refused a request whose culprit the
   * repeat is to find; no try is charged to it, so that a sink that says so must be sure that its repeats come to an end.
   */
  | { readonly kind: 'retry'; readonly reason: Reason; readonly afterMs?: number; readonly isTry?: false }
  /** The store refuses this entry for itself. */
  | { readonly kind: 'refuse'; readonly reason: Reason }

/** How a request ended. Anything else (a thrown error, a list of the wrong length) is isolated, never counted as written. */
export type SubmitOutcome =
  | typeof ALL_WRITTEN
  /**
   * One outcome for every entry, in the order of the batch. `slowDown` (default false) and `unknown` as below: for a sink that sends a
   * batch in several requests, of which a later one failed.
   */
  | { readonly entries: readonly EntryOutcome[]; readonly slowDown?: boolean; readonly unknown?: boolean }
  /**
   * The whole request again, after at least `afterMs`. `unknown`: it ended without an answer and may have been applied. `slowDown`
   * (default true) lowers the number of requests in flight to the destination, and `afterMs` then holds back all of them.
   */
  | { readonly retryAll: Reason; readonly afterMs?: number; readonly slowDown?: boolean; readonly unknown?: boolean }
  /** Refused as a whole, culprit unknown: core halves until it is found, in order. */
  | { readonly isolate: Reason }
  /** The request was too large: core halves it; no attempt is counted. */
  | { readonly tooLarge: Reason }
  /** The destination or the caller is at fault: the attempt ends. */
  | { readonly fail: SluiceError }

/** The entries of one request. */
export interface Batch<Entry> {
  readonly entries: readonly Entry[]
  /** What the writer's `destination` gave for all of them; '' without one. */
  readonly destination: string
  /** Sum of the weights. */
  readonly weight: number
  /** Why it was sent: for the metric `numBatches`. */
  readonly trigger: BatchTrigger
}

/** Why a request was sent: its batch was full in entries or in weight, or old, or somebody waited; or it repeats, or looks for a culprit. */
export type BatchTrigger = 'size' | 'weight' | 'time' | 'hasten' | 'retry' | 'isolate'

/** What `submit` is told with each batch. */
export interface SubmitContext {
  /** 1 for the first try of every entry in the batch; the highest count of any entry otherwise. */
  readonly attempt: number
  /** Aborts at the deadline of the request and when the writer closes. It frees resources; it proves nothing about the store. */
  readonly signal: AbortSignal
  /**
   * True when an entry of the batch may have been written before the last restart: it lies before the position that had been
   * emitted then. A hint: core notes that position at most once a second.
   */
  readonly replaySuspect: boolean
}
