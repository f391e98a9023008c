import { messageOf } from '../errors.ts'
import { OptionsCheck } from '../options.ts'
import { AsyncSinkWriter } from './async-sink-writer.ts'
import { explainEntries } from './explain.ts'
import { ASYNC_SINK_OPTIONS, type AsyncSinkOptions, checkSinkOptions, withDefaults } from './options.ts'
import {
  ALL_WRITTEN,
  type Batch,
  type Sink,
  type SinkContext,
  SPI_VERSION,
  type SubmitContext,
  type SubmitOutcome,
} from './spi.ts'

/** Resolves when the values are stored. Rejects to have all of them sent again. */
export type SinkFunction<T> = (values: readonly T[], context: SubmitContext) => Promise<void>

export interface ToFunctionOptions extends Partial<AsyncSinkOptions> {
  /** Names the sink in metrics. @default 'function' */
  readonly uid?: string
}

/**
 * A sink that calls a function with each batch: for stores without a connector and for looking at a stream. A rejection is
 * repeated with growing delays; the function must bear a repeat.
 *
 * Defaults: 100 values a batch, 1 call at a time (so that batches keep their order while none is repeated), 1000 values
 * buffered, 1000 ms in the buffer.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID`.
 * @example
 * ```ts
 * stream(source).sinkTo(toFunction(async (rows) => database.insert(rows)))
 * ```
 */
export function toFunction<T>(fn: SinkFunction<T>, options: ToFunctionOptions = {}): Sink<T> {
  const { uid = 'function', ...given } = options
  const limits = withDefaults(DEFAULTS, given)
  const check = new OptionsCheck('toFunction', { ...options, fn }, ['fn', 'uid', ...ASYNC_SINK_OPTIONS])
  check.function('fn', true)
  check.string('uid')
  checkSinkOptions(check, limits)
  check.throwIfAny()
  return {
    spiVersion: SPI_VERSION,
    uid,
    repeats: 'duplicated',
    createWriter: (context) => new FunctionWriter(context, limits, fn),
    explain: (value) => explainEntries({ convert: emitAsIs }, value),
  }
}

const DEFAULTS = { maxBatchSize: 100, maxInFlightRequests: 1, maxBufferedRequests: 1000, maxTimeInBufferMS: 1000 }

function emitAsIs<T>(value: T, emit: (entry: T) => void): void {
  emit(value)
}

const WARNING_INTERVAL_MS = 60_000

class FunctionWriter<T> extends AsyncSinkWriter<T, T> {
  protected override readonly answers = 'request'
  readonly #fn: SinkFunction<T>
  #warnedAt: number = Number.NEGATIVE_INFINITY

  constructor(context: SinkContext, options: AsyncSinkOptions, fn: SinkFunction<T>) {
    super(context, options)
    this.#fn = fn
  }

  protected convert(value: T, emit: (entry: T) => void): void {
    emitAsIs(value, emit)
  }

  protected async submit(batch: Batch<T>, context: SubmitContext): Promise<SubmitOutcome> {
    try {
      await this.#fn(batch.entries, context)
      return ALL_WRITTEN
    } catch (error) {
      this.#warn(error, context.attempt)
      return { retryAll: { code: 'functionRejected', message: messageOf(error), cause: error }, slowDown: false }
    }
  }

  /** The first rejection of a row and then one a minute: a store that is down for an hour is not told a thousand times. */
  #warn(error: unknown, attempt: number): void {
    const { logger, clock, sinkUid } = this.context
    const now = clock.now()
    if (attempt > 1 && now - this.#warnedAt < WARNING_INTERVAL_MS) return
    this.#warnedAt = now
    logger.warn(
      { sink: sinkUid, err: error, attempt },
      'The function rejected; its values are sent again. Option: retry.maxAttempts',
    )
  }
}
