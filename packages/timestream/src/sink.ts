import { type Explanation, type Sink, type SinkContext, type SinkWriter, SPI_VERSION } from '@sluice/core'
import { explainValue } from './explain.ts'
import type { ResolvedOptions, TimestreamSinkOptions } from './options.ts'
import { resolveOptions } from './resolve-options.ts'
import { DirectTransport } from './transport/direct.ts'
import { SdkTransport } from './transport/sdk.ts'
import type { Transport } from './transport/transport.ts'
import { makeWriter } from './writers.ts'

/**
 * Writes records to Amazon Timestream (LiveAnalytics): buffers them, batches them, keeps requests in flight, repeats what is to
 * be repeated, and gives every record exactly one outcome. At least once; a repeat of a record that is stored already, with the
 * same values and version, changes nothing.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options.
 * @example
 * ```ts
 * stream(source).sinkTo(
 *   new TimestreamSink({ databaseName: 'metrics', tableName: 'hosts', elementConverter: toRecord }),
 * )
 * ```
 */
export class TimestreamSink<In> implements Sink<In> {
  readonly spiVersion: number = SPI_VERSION
  readonly uid: string
  readonly repeats = 'idempotent'
  readonly #options: ResolvedOptions<In>

  constructor(options: TimestreamSinkOptions<In>) {
    this.#options = resolveOptions(options)
    this.uid = this.#options.uid
  }

  createWriter(context: SinkContext): SinkWriter<In> {
    return makeWriter(context, this.#options, transportFor(this.#options, context))
  }

  /**
   * What would be sent for the value, offline: makes no client, asks for no credentials, sends nothing.
   *
   * Each record is explained as if it were sent alone. `entry` is the record; with a `batchConverter` it is the request that it makes of
   * that one record, so that the converter is called too. `sizeInBytes` is metered as Timestream does, without common attributes,
   * which is what `maxRecordSizeInBytes` is compared with; `destination` is `database/table`. `billed` has the writes of 1 KiB that a
   * request with this record alone, and its common attributes, costs: an upper limit, because the records of a request are metered together, so
   * that twelve of 83 bytes are one write.
   *
   * Refusals: `convertThrew` (the value as a whole: `elementConverter` threw, or returned no records, such as a promise),
   * `recordTooLarge`, `batchConverterThrew`, and `SLUICE_BATCH_CONVERTER_NOT_ALIGNED`, which would fail the job. What the service
   * itself would reject is not among them.
   *
   * See https://docs.aws.amazon.com/timestream/latest/developerguide/metering-and-pricing.writes.html
   *
   * @example
   * ```ts
   * const { entries, refusal } = sink.explain({ host: 'a', cpu: 12.5, timeMs: Date.now() })
   * console.log(refusal ?? entries)
   * // [{ entry: { Dimensions: [...], ... }, sizeInBytes: 24, weight: 1, destination: 'metrics/hosts',
   * //    billed: { 'writes of 1 KiB': 1 }, refusals: [] }]
   * ```
   */
  explain(value: In): Explanation {
    return explainValue(this.#options, value)
  }
}

function transportFor<In>(options: ResolvedOptions<In>, { clock }: SinkContext): Transport {
  if (options.client !== undefined) return SdkTransport.injected(options.client)
  if (options.transport === 'sdk') return SdkTransport.own(options.ownClient)
  return new DirectTransport(options.ownClient, clock)
}
