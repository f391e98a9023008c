import { type Sink, type SinkContext, type SinkWriter, SPI_VERSION } from '@sluice/core'
import type { ResolvedOptions, TimestreamSinkOptions } from './options.ts'
import { resolveOptions } from './resolve-options.ts'
import { WriteClient } from './write-client.ts'
import { TimestreamSinkWriter } from './writer.ts'

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
    const { client, ownClient } = this.#options
    const writeClient = client === undefined ? WriteClient.own(ownClient) : WriteClient.injected(client)
    return new TimestreamSinkWriter(context, this.#options, writeClient)
  }
}
