import { SluiceError } from '../errors.ts'
import { AsyncSinkWriter } from '../sink/async-sink-writer.ts'
import { explainEntries } from '../sink/explain.ts'
import { type AsyncSinkOptions, withDefaults } from '../sink/options.ts'
import {
  ALL_WRITTEN,
  type Batch,
  type EntryOutcome,
  type Explanation,
  type Reason,
  type Sink,
  type SinkContext,
  type SinkWriter,
  SPI_VERSION,
  type SubmitOutcome,
} from '../sink/spi.ts'
import { type EntryAnswer, ScriptedStore, type StoreAnswer } from './scripted-store.ts'

export interface ScriptedSinkOptions<In, Entry> extends Partial<AsyncSinkOptions> {
  /** @default 'scripted' */
  readonly uid?: string
  /** What a repeat does to the store. @default 'duplicated' */
  readonly repeats?: Sink<In>['repeats']
  /** @default a new store */
  readonly store?: ScriptedStore<Entry>
  /** As the engine's `answers`: whether the store may want single entries of a request again. @default 'entry' */
  readonly answers?: 'entry' | 'request'
  /** One value's entries; a throw refuses the value, also after some entries. */
  readonly convert: (value: In) => Iterable<Entry>
  readonly destination?: (entry: Entry) => string
  /** A number that entries have in common which are to be kept in order. @default there is no order */
  readonly orderKey?: (entry: Entry) => number
  readonly sizeInBytes?: (entry: Entry) => number
}

/**
 * A sink that misbehaves on command: the engine before a {@link ScriptedStore}, whose answers become the outcomes of requests. An
 * answer that is short, meaningless or thrown becomes an outcome that is.
 *
 * @example
 * ```ts
 * const sink = new ScriptedSink<string, string>({ convert: (value) => [value] })
 * sink.store.next('unavailable', 'cutAfterApply', { throttledForMs: 5000 })
 * // ... run a job ...
 * expect(new Set(sink.store.held)).toEqual(new Set(produced))
 * ```
 */
export class ScriptedSink<In, Entry> implements Sink<In> {
  readonly spiVersion: number = SPI_VERSION
  readonly uid: string
  readonly repeats: Sink<In>['repeats']
  readonly store: ScriptedStore<Entry>
  readonly #limits: AsyncSinkOptions
  readonly #hooks: Hooks<In, Entry>

  constructor(options: ScriptedSinkOptions<In, Entry>) {
    const { uid, repeats, store, answers, convert, destination, orderKey, sizeInBytes, ...given } = options
    this.uid = uid ?? 'scripted'
    this.repeats = repeats ?? 'duplicated'
    this.store = store ?? new ScriptedStore()
    this.#hooks = { answers: answers ?? 'entry', convert, destination, orderKey, sizeInBytes }
    this.#limits = withDefaults(
      { maxBatchSize: 10, maxInFlightRequests: 2, maxBufferedRequests: 80, maxTimeInBufferMS: 1000 },
      given,
    )
  }

  createWriter(context: SinkContext): SinkWriter<In> {
    const Writer = this.#hooks.orderKey === undefined ? ScriptedWriter : OrderedWriter
    return new Writer(context, this.#limits, this.#hooks, this.store)
  }

  explain(value: In): Explanation {
    const { convert, destination, sizeInBytes } = this.#hooks
    const rules = {
      convert: (from: In, emit: (entry: Entry) => void): void => {
        for (const entry of convert(from)) emit(entry)
      },
      ...(destination === undefined ? {} : { destination }),
      ...(sizeInBytes === undefined ? {} : { sizeInBytes }),
    }
    return explainEntries(rules, value)
  }
}

interface Hooks<In, Entry> {
  readonly answers: 'entry' | 'request'
  readonly convert: (value: In) => Iterable<Entry>
  readonly destination: ((entry: Entry) => string) | undefined
  readonly orderKey: ((entry: Entry) => number) | undefined
  readonly sizeInBytes: ((entry: Entry) => number) | undefined
}

class ScriptedWriter<In, Entry> extends AsyncSinkWriter<In, Entry> {
  protected override readonly answers: 'entry' | 'request'
  protected readonly hooks: Hooks<In, Entry>
  readonly #store: ScriptedStore<Entry>

  constructor(context: SinkContext, limits: AsyncSinkOptions, hooks: Hooks<In, Entry>, store: ScriptedStore<Entry>) {
    super(context, limits)
    this.answers = hooks.answers
    this.hooks = hooks
    this.#store = store
  }

  protected convert(value: In, emit: (entry: Entry) => void): void {
    for (const entry of this.hooks.convert(value)) emit(entry)
  }

  protected override sizeInBytes(entry: Entry): number {
    return this.hooks.sizeInBytes?.(entry) ?? 0
  }

  protected override destination(entry: Entry): string {
    return this.hooks.destination?.(entry) ?? ''
  }

  protected submit({ entries, destination }: Batch<Entry>): Promise<SubmitOutcome> {
    return this.#store.receive(entries, destination).then(outcomeOf)
  }
}

class OrderedWriter<In, Entry> extends ScriptedWriter<In, Entry> {
  protected override orderKey(entry: Entry): number {
    return this.hooks.orderKey?.(entry) ?? 0
  }
}

/** What a sink makes of the answer of its store. */
export function outcomeOf(answer: StoreAnswer): SubmitOutcome {
  switch (answer.kind) {
    case 'stored':
      return ALL_WRITTEN
    case 'entries':
    case 'short':
      return { entries: answer.outcomes.map(entryOutcome) }
    case 'throttled':
      return { retryAll: reason('throttled'), ...(answer.afterMs === undefined ? {} : { afterMs: answer.afterMs }) }
    case 'unavailable':
      return { retryAll: reason('unavailable'), slowDown: false }
    case 'cut':
      return { retryAll: reason('cut'), slowDown: false, unknown: true }
    case 'refused':
    case 'conflict':
      return { isolate: reason(answer.kind) }
    case 'tooLarge':
      return { tooLarge: reason('tooLarge') }
    case 'denied':
      return { fail: new SluiceError('SLUICE_ACCESS_DENIED', 'the store denies the caller to write') }
    case 'threw':
      throw new TypeError('the client of the store threw')
    case 'meaningless':
      break
  }
  return {} as SubmitOutcome
}

function entryOutcome(answer: EntryAnswer): EntryOutcome {
  switch (answer) {
    case 'stored':
      return { kind: 'written' }
    case 'busy':
      return { kind: 'retry', reason: reason('busy') }
    case 'refused':
    case 'conflict':
      break
  }
  return { kind: 'refuse', reason: reason(answer) }
}

function reason(code: string): Reason {
  return { code, message: `the store says: ${code}` }
}
