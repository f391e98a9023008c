import { DEAD_LETTER_OPTIONS, type DeadLetterOptions } from '../dead-letters/options.ts'
import { SluiceError } from '../errors.ts'
import type { Job } from '../job/job.ts'
import { checkRunOptions, type JobOptions } from '../job/options.ts'
import type { JobStatus } from '../job/status.ts'
import { stream } from '../job/stream.ts'
import { OptionsCheck } from '../options.ts'
import { type Clock, systemClock } from '../runtime/clock.ts'
import type { Sink } from '../sink/spi.ts'
import { nameOf } from './options.ts'
import { PushSource } from './push-source.ts'

/** What {@link openSink} is told. */
export interface OpenSinkOptions
  extends
    DeadLetterOptions,
    Pick<JobOptions, 'restart' | 'restartGraceMs' | 'logger' | 'metrics' | 'clock' | 'random'> {
  /** Names the writer in metrics (label `job`), logs and dead letters. @default the uid of the sink */
  readonly name?: string
  /** Values written and not settled from which on `write` asks to wait. @default 10000 */
  readonly maxUnsettled?: number
  /** Milliseconds after which `close` gives up what is not settled. @default 30000 */
  readonly closeDeadlineMs?: number
}

const PASSED = ['restart', 'restartGraceMs', 'logger', 'metrics', 'clock', 'random', ...DEAD_LETTER_OPTIONS] as const

/** The name of every option of {@link openSink}. */
export const OPEN_SINK_OPTIONS: readonly (keyof OpenSinkOptions)[] = [
  'name',
  'maxUnsettled',
  'closeDeadlineMs',
  ...PASSED,
]

/** Adds every problem of the options of {@link openSink} to a check that was made of them: for clients that have them beside their own. */
export function checkOpenSinkOptions(check: OptionsCheck, options: OpenSinkOptions): void {
  check.integer('maxUnsettled')
  check.integer('closeDeadlineMs', { min: 0 })
  checkRunOptions(check, options, false)
}

interface Flush {
  readonly upTo: number
  readonly resolve: () => void
  readonly reject: (error: SluiceError) => void
}

/** A sink that is written to by hand, see {@link openSink}. */
export class OpenSink<T> implements AsyncDisposable {
  /** Resolves when the sink was closed with everything settled; rejects with what ended it otherwise. */
  readonly done: Promise<void>
  readonly #source: PushSource<T>
  readonly #job: Job
  readonly #clock: Clock
  readonly #maxUnsettled: number
  readonly #closeDeadlineMs: number
  readonly #flushes = new Set<Flush>()
  #room: PromiseWithResolvers<void> | undefined
  #ended: SluiceError | undefined
  #expired = false

  /** @internal use {@link openSink} */
  constructor(sink: Sink<T>, options: OpenSinkOptions) {
    const check = new OptionsCheck('openSink', options, OPEN_SINK_OPTIONS)
    checkOpenSinkOptions(check, options)
    check.throwIfAny()
    this.#clock = options.clock ?? systemClock
    this.#maxUnsettled = options.maxUnsettled ?? 10_000
    this.#closeDeadlineMs = options.closeDeadlineMs ?? 30_000
    const passed = Object.fromEntries(
      PASSED.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
    )
    this.#source = new PushSource<T>(
      'written',
      () => this.#onSettled(),
      () => this.#flushes.size > 0,
    )
    const sinked = stream(this.#source).sinkTo(sink)
    this.#job = sinked.start({ ...passed, name: options.name ?? nameOf(sink.uid) })
    this.done = this.#run()
    // A writer that is never closed must not end the process; whoever writes or flushes learns of it.
    this.done.catch(() => undefined)
  }

  /**
   * Takes the value. When it has its outcome, {@link OpenSink.flush} and {@link OpenSink.close} tell; what was dropped, {@link OpenSink.status}.
   *
   * @returns undefined while there is room; otherwise await it before the next value. It rejects when the sink has failed or was
   *   closed: then the value was not taken, or will not be written.
   */
  write(value: T): Promise<void> | undefined {
    if (this.#ended !== undefined || this.#source.ended) return handled(Promise.reject(this.#ended ?? closed()))
    this.#source.push(value)
    if (this.#source.size < this.#maxUnsettled) return undefined
    this.#room ??= Promise.withResolvers<void>()
    return handled(this.#room.promise)
  }

  /**
   * Sends partial batches now. Resolves when every value written before is settled: stored, or taken by the dead letters.
   *
   * @throws SluiceError `SLUICE_RECORD_REFUSED` when the store refused a value and there are no dead letters, or what else ended the sink.
   */
  flush(): Promise<void> {
    const { size, next } = this.#source
    if (size === 0) return this.#ended === undefined ? Promise.resolve() : handled(Promise.reject(this.#ended))
    if (this.#ended !== undefined) return handled(Promise.reject(this.#ended))
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#flushes.add({ upTo: next, resolve, reject })
    this.#source.hasten()
    return handled(promise)
  }

  /**
   * Writes what was taken, and ends. Idempotent.
   *
   * @throws SluiceError what ended the sink; `SLUICE_DEADLINE_EXCEEDED` when values were not settled within `closeDeadlineMs`.
   */
  async close(): Promise<void> {
    this.#source.end()
    const expiry = this.#clock.after(this.#closeDeadlineMs, () => {
      this.#expired = true
      void this.abort()
    })
    try {
      await this.done
    } finally {
      expiry.cancel()
    }
  }

  /** Ends at once: what is not settled is given up, and may or may not have been stored. Never rejects. */
  async abort(): Promise<void> {
    this.#source.end()
    await this.#job.close().catch(() => undefined)
    await this.done.catch(() => undefined)
  }

  status(): JobStatus {
    return this.#job.status()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(): Promise<void> {
    let failure: SluiceError | undefined
    try {
      await this.#job.done
    } catch (error) {
      failure = SluiceError.from(error, 'SLUICE_SINK_FAILED', 'the sink failed')
    }
    const { size } = this.#source
    if (failure === undefined && size > 0) failure = this.#expired ? this.#tooLate(size) : closed(size)
    this.#ended = failure ?? closed()
    for (const { reject } of this.#flushes) reject(this.#ended)
    this.#flushes.clear()
    this.#room?.reject(this.#ended)
    if (failure !== undefined) throw failure
  }

  #tooLate(unsettled: number): SluiceError {
    const message = `${unsettled} values were not settled within ${this.#closeDeadlineMs} ms (closeDeadlineMs); they may or may not be stored`
    return new SluiceError('SLUICE_DEADLINE_EXCEEDED', message, { facts: { unsettled } })
  }

  #onSettled(): void {
    if (this.#room !== undefined && this.#source.size < this.#maxUnsettled) {
      this.#room.resolve()
      this.#room = undefined
    }
    if (this.#flushes.size === 0) return
    const { settledUpTo } = this.#source
    for (const flush of this.#flushes) {
      if (settledUpTo < flush.upTo) return
      this.#flushes.delete(flush)
      flush.resolve()
    }
  }
}

/** Nobody has to look at it. */
function handled(promise: Promise<void>): Promise<void> {
  promise.catch(() => undefined)
  return promise
}

function closed(unsettled = 0): SluiceError {
  const message = unsettled === 0 ? 'the sink was closed' : `the sink was closed with ${unsettled} values not settled`
  return new SluiceError('SLUICE_CLOSED', message, { facts: { unsettled } })
}

/**
 * Writes to a sink without a source. The writer does all that it does in a job: batches, repeats, isolation, dead letters, metrics;
 * after a restartable failure of the sink every value that is not settled is written again, in its order.
 *
 * A value that the store refuses for itself goes to `deadLetters`; without them it ends the sink, and `write`, `flush` and `close`
 * reject with `SLUICE_RECORD_REFUSED`.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options, `SLUICE_SPI_MISMATCH`.
 * @example
 * ```ts
 * await using sink = openSink(new TimestreamSink({ ... }))
 * for (const record of records) {
 *   const full = sink.write(record)
 *   if (full !== undefined) await full
 * }
 * await sink.flush() // from here on each has its outcome
 * ```
 */
export function openSink<T>(sink: Sink<T>, options: OpenSinkOptions = {}): OpenSink<T> {
  return new OpenSink<T>(sink, options)
}
