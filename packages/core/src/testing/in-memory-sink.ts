import { AsyncSinkWriter } from '../sink/async-sink-writer.ts'
import { explainEntries } from '../sink/explain.ts'
import { type AsyncSinkOptions, withDefaults } from '../sink/options.ts'
import {
  ALL_WRITTEN,
  type Batch,
  type Explanation,
  type Sink,
  type SinkContext,
  type SinkWriter,
  SPI_VERSION,
  type SubmitContext,
  type SubmitOutcome,
} from '../sink/spi.ts'

/** Decides what becomes of a request. Return {@link ALL_WRITTEN} to have it stored. */
export type Misbehaviour<T> = (batch: Batch<T>, context: SubmitContext) => SubmitOutcome | Promise<SubmitOutcome>

export interface InMemorySinkOptions<T> extends Partial<AsyncSinkOptions> {
  /** @default 'memory' */
  readonly uid?: string
  /** @default every request is stored */
  readonly onSubmit?: Misbehaviour<T>
  /** One value's entries. @default the value itself */
  readonly convert?: (value: T) => readonly T[]
}

/** A store in memory that behaves as a test says. It outlives every job and attempt. */
export class InMemorySink<T> implements Sink<T> {
  readonly spiVersion: number = SPI_VERSION
  readonly repeats = 'duplicated' as const
  readonly uid: string
  /** What the store holds, in order of arrival, repeats included. */
  readonly stored: T[] = []
  /** Every request, in order of sending. */
  readonly requests: (readonly T[])[] = []
  onSubmit: Misbehaviour<T>
  readonly #limits: AsyncSinkOptions
  readonly #convert: (value: T) => readonly T[]

  constructor(options: InMemorySinkOptions<T> = {}) {
    const { uid = 'memory', onSubmit = () => ALL_WRITTEN, convert = (value: T) => [value], ...given } = options
    this.uid = uid
    this.onSubmit = onSubmit
    this.#convert = convert
    this.#limits = withDefaults(
      { maxBatchSize: 10, maxInFlightRequests: 2, maxBufferedRequests: 50, maxTimeInBufferMS: 1000 },
      given,
    )
  }

  createWriter(context: SinkContext): SinkWriter<T> {
    const { requests, stored } = this
    const convert = this.#emitEntries
    const decide: Misbehaviour<T> = (batch, submitContext) => this.onSubmit(batch, submitContext)
    return new (class extends AsyncSinkWriter<T, T> {
      protected convert(value: T, emit: (entry: T) => void): void {
        convert(value, emit)
      }
      protected async submit(batch: Batch<T>, submitContext: SubmitContext): Promise<SubmitOutcome> {
        requests.push([...batch.entries])
        const outcome = await decide(batch, submitContext)
        if ('allWritten' in outcome) stored.push(...batch.entries)
        else if ('entries' in outcome) {
          for (const [index, entry] of batch.entries.entries()) {
            if (outcome.entries[index]?.kind === 'written') stored.push(entry)
          }
        }
        return outcome
      }
    })(context, this.#limits)
  }

  explain(value: T): Explanation {
    return explainEntries({ convert: this.#emitEntries }, value)
  }

  readonly #emitEntries = (value: T, emit: (entry: T) => void): void => {
    for (const entry of this.#convert(value)) emit(entry)
  }
}
