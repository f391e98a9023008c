import { type Explanation, type Sink, type SinkContext, type SinkWriter, SPI_VERSION } from '@sluice/core'
import { explainValue } from './explain.ts'
import {
  type PrometheusSinkOptions,
  type ResolvedSinkOptions,
  resolveSinkOptions,
  type SeriesLike,
} from './options-sink.ts'
import { EntryFactory } from './writer-entries.ts'
import { ConfirmedSamples } from './writer-confirmed.ts'
import { PrometheusSinkWriter } from './writer.ts'

/**
 * Writes series to a receiver of Prometheus remote write: batched by samples, each series in order, with repeats that follow the
 * specification, and so that one bad series does not cost those beside it. At least once; a repeat of what is stored already changes
 * nothing.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options.
 * @example
 * ```ts
 * stream(source).sinkTo(
 *   new PrometheusSink({
 *     prometheusRemoteWriteUrl: 'http://localhost:9090/api/v1/write',
 *     elementConverter: ({ host, cpu, timeMs }) => ({ name: 'cpu', labels: { host }, value: cpu, timestamp: timeMs }),
 *   }),
 * )
 * ```
 */
export class PrometheusSink<In = SeriesLike> implements Sink<In> {
  readonly spiVersion: number = SPI_VERSION
  readonly uid: string
  readonly repeats = 'idempotent'
  readonly #options: ResolvedSinkOptions<In>
  readonly #factory: EntryFactory<In>
  readonly #confirmed = new ConfirmedSamples()

  constructor(options: PrometheusSinkOptions<In>) {
    this.#options = resolveSinkOptions(options)
    this.#factory = new EntryFactory(this.#options)
    this.uid = this.#options.uid
  }

  createWriter(context: SinkContext): SinkWriter<In> {
    return new PrometheusSinkWriter(context, this.#options, this.#factory, this.#confirmed)
  }

  /**
   * What would be sent for the value, offline: makes no connection, asks for no credentials, sends nothing.
   *
   * Each entry is one series as it would be sent, with its samples, `sizeInBytes` before compression, and the number of samples as its
   * weight. `destination` is the tenant, where there is one. A series of more than `maxRecordSizeInSamples` is several entries.
   *
   * Refusals: of an entry `invalidSeries` (it breaks a rule of remote write, is dropped, and those beside it are sent); of the value as a
   * whole `convertThrew` (`elementConverter` threw, or gave something that is no series; where `onPrometheusNonRetriableError` is `FAIL`,
   * also a series that breaks a rule). What the sink does by default in a job with dead letters is what it does with `FAIL`. What only the
   * receiver can judge, such as samples that are too old, is not among them.
   *
   * @example
   * ```ts
   * const { entries, refusal } = sink.explain({ host: 'a', cpu: 12.5, timeMs: 1_700_000_000_000 })
   * console.log(refusal ?? entries)
   * // [{ entry: { labels: { __name__: 'cpu', host: 'a' }, samples: [{ value: 12.5, timestamp: 1700000000000 }] },
   * //    sizeInBytes: 48, weight: 1, refusals: [] }]
   * ```
   */
  explain(value: In): Explanation {
    return explainValue(this.#options, value)
  }
}
