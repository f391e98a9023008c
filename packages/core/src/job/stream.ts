import { inspect } from 'node:util'
import type { DeadLetters } from '../dead-letters/dead-letters.ts'
import { checkDeadLetters } from '../dead-letters/options.ts'
import { SluiceError } from '../errors.ts'
import { OptionsCheck } from '../options.ts'
import { SPI_VERSION, type Sink } from '../sink/spi.ts'
import type { Source, SourceSplit } from '../source/spi.ts'
import { Job } from './job.ts'
import { asyncStep, type CallContext, type MapAsyncOptions, type Step, syncStep, withStep } from './operators.ts'
import { type JobOptions, resolveJobOptions } from './options.ts'
import type { AnySink, AnySource } from './plan.ts'
import { rateLimitProblem, type SourceRateLimit } from './rate-gate.ts'

/**
 * Begins a pipeline. Operators run fused, record by record, and at once, except
 * `mapAsync`; a throw in one refuses that record.
 *
 * @throws SluiceError `SLUICE_SPI_MISMATCH` when the source is made for another version of core, `SLUICE_OPTIONS_INVALID` when what it
 *   declares of itself cannot be.
 * @example
 * ```ts
 * await using job = stream(new KinesisSource({ streamName: 'hosts' }))
 *   .filter((reading) => reading.cpu !== null)
 *   .map(toHostRecord)
 *   .sinkTo(new TimestreamSink({ ... }))
 *   .start({ name: 'hosts', checkpoints: { storage: fileCheckpoints('./state') } })
 * await job.done
 * ```
 */
export function stream<T, Split extends SourceSplit, State>(
  source: Source<T, Split, State>,
  options: StreamOptions = {},
): Stream<T> {
  requireSpi('source', source)
  const check = new OptionsCheck(`stream(${source.uid})`, options, ['rateLimit'])
  const problem = rateLimitProblem(options?.rateLimit)
  if (problem !== undefined) check.problem(problem)
  check.throwIfAny()
  const { acknowledgement, assignment, positionAuthority, uid } = source
  if (positionAuthority === 'checkpoint' && (acknowledgement !== 'prefix' || assignment !== 'enumerator')) {
    throw new SluiceError(
      'SLUICE_OPTIONS_INVALID',
      `source '${uid}' has position authority 'checkpoint' with acknowledgement '${acknowledgement}' and assignment '${assignment}': a checkpoint holds one position a split, of splits that our enumerator assigns; declare 'external', or 'prefix' and 'enumerator'`,
    )
  }
  return new Stream(source, [], options)
}

export interface StreamOptions {
  /**
   * How fast records are taken from the source, all fetch loops together: `perSecond(n)` or `perCheckpoint(n)`. Applied where records
   * are emitted, before the operators. @default no limit
   */
  readonly rateLimit?: SourceRateLimit | undefined
}

/** A source and the operators after it. */
export class Stream<T> {
  readonly #source: AnySource
  readonly #steps: readonly Step[]
  readonly #options: StreamOptions

  /** @internal use {@link stream} */
  constructor(source: AnySource, steps: readonly Step[], options: StreamOptions = {}) {
    this.#source = source
    this.#steps = steps
    this.#options = options
  }

  /** One value becomes one value. */
  map<U>(fn: (value: T) => U): Stream<U> {
    return this.#with(syncStep('map', this.#steps.length + 1, fn))
  }

  /** Values for which the predicate is false are settled at once: they reach no sink and hold nothing back. */
  filter(predicate: (value: T) => boolean): Stream<T> {
    return this.#with(syncStep('filter', this.#steps.length + 1, predicate))
  }

  /** One value becomes none, one or many. */
  flatMap<U>(fn: (value: T) => Iterable<U>): Stream<U> {
    return this.#with(syncStep('flatMap', this.#steps.length + 1, fn))
  }

  /**
   * Gives values an order key: a string or a finite number; anything else refuses the record. Entries of one key, of the inputs of
   * one split, are then sent in their order, by the sinks that keep an order. The key should be a function of what the source
   * partitions by: between splits, order is that of arrival.
   *
   * Later steps keep the key, all values of a `flatMap` that of their input; a second `keyBy` replaces it. It wins over the order
   * key that a sink would choose.
   *
   * @throws SluiceError `SLUICE_OPTIONS_INVALID` after a `mapAsync` with `ordered: false`, which has lost the order.
   * @example
   * ```ts
   * stream(source).keyBy((reading) => reading.host).sinkTo(sink)
   * ```
   */
  keyBy(fn: (value: T) => string | number): Stream<T> {
    return this.#with(syncStep('keyBy', this.#steps.length + 1, fn))
  }

  /**
   * As {@link Stream.map} for what must be awaited: a look-up in a database, a request. At most `concurrency` calls are under way
   * (default 16, in all fetch loops together); at most as many results wait besides, so that a slow sink stops new calls. Results
   * go on in the order of their inputs unless `ordered: false`; then only values with one order key do, and a sink that has an
   * order key of its own sees its entries out of order unless `keyBy` comes before.
   *
   * An input is settled when all that it became has gone through; a checkpoint waits for it. After a failure it is called again:
   * a call that changes something must bear that.
   *
   * A call that throws or rejects refuses its record. If not the record but the look-up is at fault, reject with a `SluiceError`
   * that is `restartable`: it ends the attempt. So does a call that lasts longer than `timeoutMs` (default 60000), with
   * `SLUICE_DEADLINE_EXCEEDED`. The `signal` aborts then, and when the attempt ends.
   *
   * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options.
   * @example
   * ```ts
   * stream(source).mapAsync(async (order, { signal }) => {
   *   const response = await fetch(`${customers}/${order.customerId}`, { signal })
   *   return { ...order, customer: await response.json() }
   * }, { concurrency: 32, timeoutMs: 5000 })
   * ```
   */
  mapAsync<U>(fn: (value: T, context: CallContext) => Promise<U>, options: MapAsyncOptions = {}): Stream<U> {
    return this.#with(asyncStep(this.#steps.length + 1, fn, options))
  }

  /** Ends the pipeline in a sink; more may follow. A record is settled when it is settled in all. */
  sinkTo(sink: Sink<T>, options?: SinkToOptions): SinkedStream<T> {
    return new SinkedStream<T>(this.#source, this.#steps, [], this.#options).sinkTo(sink, options)
  }

  #with<U>(step: Step): Stream<U> {
    return new Stream<U>(this.#source, withStep(this.#steps, step), this.#options)
  }
}

export interface SinkToOptions {
  /** Where records go that this sink refuses, instead of the `deadLetters` of the job. @default those of the job */
  readonly deadLetters?: DeadLetters
}

/** A pipeline that can be started. */
export class SinkedStream<T> {
  readonly #source: AnySource
  readonly #steps: readonly Step[]
  readonly #sinks: readonly AnySink[]
  readonly #options: StreamOptions
  readonly #sinkDeadLetters: ReadonlyMap<string, DeadLetters>

  /** @internal use {@link Stream.sinkTo} */
  constructor(
    source: AnySource,
    steps: readonly Step[],
    sinks: readonly AnySink[],
    options: StreamOptions = {},
    sinkDeadLetters: ReadonlyMap<string, DeadLetters> = new Map(),
  ) {
    this.#source = source
    this.#steps = steps
    this.#sinks = sinks
    this.#options = options
    this.#sinkDeadLetters = sinkDeadLetters
  }

  /** @throws SluiceError `SLUICE_SPI_MISMATCH`, `SLUICE_OPTIONS_INVALID` when the uid is taken by another sink. */
  sinkTo(sink: Sink<T>, options: SinkToOptions = {}): SinkedStream<T> {
    requireSpi('sink', sink)
    const check = new OptionsCheck(`sinkTo(${sink.uid})`, options, ['deadLetters'])
    checkDeadLetters(check, options?.deadLetters)
    check.throwIfAny()
    if (this.#sinks.some(({ uid }) => uid === sink.uid)) {
      throw new SluiceError(
        'SLUICE_OPTIONS_INVALID',
        `two sinks of the pipeline have the uid '${sink.uid}': give one another uid`,
      )
    }
    const { deadLetters } = options
    const own = deadLetters === undefined ? [] : [[sink.uid, deadLetters] as const]
    const sinkDeadLetters = new Map([...this.#sinkDeadLetters, ...own])
    return new SinkedStream<T>(this.#source, this.#steps, [...this.#sinks, sink], this.#options, sinkDeadLetters)
  }

  /**
   * Starts the job; it runs until its input ends, or until `drain()` or `close()`.
   *
   * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options; later failures reject `job.done`.
   */
  start(options: JobOptions): Job {
    const pipeline = {
      source: this.#source,
      steps: this.#steps,
      sinks: this.#sinks,
      sinkDeadLetters: this.#sinkDeadLetters,
      rateLimit: this.#options.rateLimit,
    }
    return new Job(pipeline, resolveJobOptions(options))
  }
}

function requireSpi(kind: 'source' | 'sink', connector: { readonly uid: string; readonly spiVersion: number }): void {
  const given: unknown = connector
  if (typeof given !== 'object' || given === null || !('spiVersion' in given)) {
    const call = kind === 'source' ? 'stream()' : 'sinkTo()'
    throw new SluiceError('SLUICE_OPTIONS_INVALID', `${call} needs a ${kind}, got ${inspect(given, { depth: -1 })}`)
  }
  const { uid, spiVersion: version } = connector
  if (version === SPI_VERSION) return
  throw new SluiceError(
    'SLUICE_SPI_MISMATCH',
    `${kind} '${uid}' is made for contract version ${version}, @sluice/core has ${SPI_VERSION}: install versions that belong together`,
    { facts: { uid, version, expected: SPI_VERSION } },
  )
}
