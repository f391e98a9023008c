import {
  type EnumeratorContext,
  type ReaderContext,
  type RestoredSource,
  type Source,
  type SourceReader,
  SPI_VERSION,
  type SplitEnumerator,
} from '@sluice/core'

import { ClientLease, KinesisApi } from './api.ts'
import { KinesisEnumerator } from './enumerator.ts'
import { type KinesisSourceOptions, type ResolvedOptions, resolveOptions } from './options.ts'
import { KinesisReader } from './reader.ts'
import type { KinesisEnumeratorState, KinesisSplit } from './split.ts'

/**
 * Reads an Amazon Kinesis data stream by polling its shards.
 *
 * It finds shards as they are created, reads a parent to its end before its children, and keeps its position in the job's
 * checkpoints alone: nothing is skipped, and after a failure what came since the last checkpoint is read again. The order of
 * a partition key is kept, over splits and merges of shards too.
 *
 * The job ends with `SLUICE_SOURCE_NOT_FOUND` if there is no such stream, with `SLUICE_ACCESS_DENIED` if it may not be read,
 * and with `SLUICE_POSITION_LOST` if records expired before they were read.
 *
 * See https://docs.aws.amazon.com/streams/latest/dev/developing-consumers-with-sdk.html
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options.
 * @example
 * ```ts
 * const source = new KinesisSource<Order>({ streamName: 'orders', initialPosition: 'TRIM_HORIZON' })
 * ```
 */
export class KinesisSource<T> implements Source<T, KinesisSplit, KinesisEnumeratorState> {
  readonly spiVersion: number = SPI_VERSION
  readonly uid: string
  readonly stateVersion: number = 1
  readonly acknowledgement = 'prefix'
  readonly assignment = 'enumerator'
  readonly positionAuthority = 'checkpoint'
  readonly #options: ResolvedOptions<T>
  readonly #lease: ClientLease

  constructor(options: KinesisSourceOptions<T>) {
    this.#options = resolveOptions(options)
    this.#lease = new ClientLease(this.#options)
    this.uid = this.#options.uid
  }

  createEnumerator(
    context: EnumeratorContext<KinesisSplit>,
    restored: RestoredSource<KinesisSplit, KinesisEnumeratorState> | undefined,
  ): SplitEnumerator<KinesisEnumeratorState> {
    const { sender, release } = this.#lease.acquire()
    const api = new KinesisApi(sender, this.#options, context.clock)
    return new KinesisEnumerator(context, api, this.#options, restored, release)
  }

  createReader(context: ReaderContext): SourceReader<T, KinesisSplit> {
    const { sender, release } = this.#lease.acquire()
    const api = new KinesisApi(sender, this.#options, context.clock)
    return new KinesisReader(context, api, this.#options, release)
  }
}
