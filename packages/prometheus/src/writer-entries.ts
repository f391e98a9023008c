import { randomBytes } from 'node:crypto'
import { emitTimeSeries, recordEntry } from './entries.ts'
import { InvalidEntry } from './entry-invalid.ts'
import type { Labels, MetricMetadata, PrometheusRecord } from './model.ts'
import type { ResolvedSinkOptions } from './options-sink.ts'
import { isHeaderValue } from './options-transport.ts'
import { InvalidSeriesError } from './problems.ts'
import { SeriesTable } from './series-table.ts'
import { Entry, type Series } from './series.ts'

/** Bytes of a sample as it is sent: tags, the value, the time, and the series' share of lengths, about. */
const SAMPLE_BYTES = 20
/** Of a native histogram or an exemplar, about. */
const PART_BYTES = 150

/** What a series that breaks the rules does: it refuses its value, or an {@link InvalidEntry} takes its place. */
export type OnInvalid = 'refuses' | 'isReplaced'

/** Makes entries of values, and remembers the series that they belong to: for all writers of one sink. */
export class EntryFactory<In> {
  /** Tells this sink from others of its name, in other processes. */
  readonly instance: string = randomBytes(4).toString('hex')
  readonly #options: ResolvedSinkOptions<In>
  readonly #table: SeriesTable
  readonly #onEntry: ((entry: Entry) => void) | undefined
  #hasReplaced = false

  /** @param onEntry - told about each entry that is made. */
  constructor(options: ResolvedSinkOptions<In>, onEntry?: (entry: Entry) => void) {
    const { validation, protocol } = options
    this.#options = options
    this.#table = new SeriesTable({ validation, protocol: protocol === '1.0' ? '1.0' : '2.0' })
    this.#onEntry = onEntry
  }

  /** Whether an {@link InvalidEntry} was ever made. */
  get hasReplaced(): boolean {
    return this.#hasReplaced
  }

  /** Whether it was ever said what a metric is. */
  get hasMetadata(): boolean {
    return this.#table.hasMetadata
  }

  /** @throws InvalidSeriesError with everything that is wrong with the labels. */
  series(name: string, labels: Labels | undefined, metadata?: MetricMetadata): Series {
    return this.#table.series(name, labels, metadata)
  }

  /** The object that stands for the series now. */
  current(series: Series): Series {
    return this.#table.current(series)
  }

  /**
   * @throws what the converter throws; TypeError for what is no series; InvalidSeriesError where that refuses the value.
   */
  convert(value: In, emit: (entry: Entry) => void, invalid: OnInvalid): void {
    const { elementConverter, tenant } = this.#options
    const converted: unknown = elementConverter === undefined ? value : elementConverter(value)
    if (typeof tenant !== 'string') {
      const of = checkedTenant(tenant(value))
      const toTenant = (entry: Entry): void => {
        entry.tenant = of
        emit(entry)
      }
      this.#each(converted, toTenant, invalid)
    } else this.#each(converted, emit, invalid)
  }

  #each(converted: unknown, emit: (entry: Entry) => void, invalid: OnInvalid): void {
    if (converted === undefined) return
    if (Array.isArray(converted)) for (const each of converted) this.#one(each, emit, invalid)
    else this.#one(converted, emit, invalid)
  }

  #one(given: unknown, emit: (entry: Entry) => void, invalid: OnInvalid): void {
    try {
      this.#make(given, emit)
    } catch (error) {
      if (invalid === 'refuses' || !(error instanceof InvalidSeriesError)) throw error
      this.#hasReplaced = true
      emit(new InvalidEntry(this.#table.series('invalid', undefined), error, Object(given)))
    }
  }

  #make(given: unknown, emit: (entry: Entry) => void): void {
    if (typeof given !== 'object' || given === null) {
      throw new TypeError(`elementConverter must give series or records, got ${given === null ? 'null' : typeof given}`)
    }
    const onEntry = this.#onEntry
    const handOver =
      onEntry === undefined
        ? emit
        : (entry: Entry): void => {
            onEntry(entry)
            emit(entry)
          }
    if (given instanceof Entry) handOver(given)
    else if (isRecord(given)) handOver(recordEntry(this.#table, given))
    else if ('then' in given) throw new TypeError('elementConverter must be synchronous: use mapAsync for look-ups')
    else emitTimeSeries(this.#table, given, this.#options.maxRecordSizeInSamples, handOver)
  }
}

/** Bytes that an entry adds to a request before compression, about: those of its labels are exact. */
export function sizeOf({ series, parts }: Entry): number {
  const labels = series.blockBytes
  if (parts === undefined) return labels + SAMPLE_BYTES
  return labels + parts.samples.length * SAMPLE_BYTES + (parts.histograms.length + parts.exemplars.length) * PART_BYTES
}

function isRecord(given: Partial<PrometheusRecord>): given is PrometheusRecord {
  return given.name !== undefined || given.timestamp !== undefined
}

function checkedTenant(tenant: unknown): string {
  if (typeof tenant === 'string' && (tenant === '' || isHeaderValue(tenant))) return tenant
  throw new TypeError(
    `tenant must give visible ASCII text, got ${typeof tenant === 'string' ? 'other text' : typeof tenant}`,
  )
}
