import { type ReaderContext, SourceReaderBase, type SplitFetcher } from '@sluice/core'

import type { KinesisApi } from './api.ts'
import { KinesisSplitFetcher } from './fetcher.ts'
import { MAX_BYTES_PER_FETCH, type ResolvedOptions } from './options.ts'
import { Retention } from './retention.ts'
import { describePosition, type KinesisSplit } from './split.ts'

/** Polls the shards that it was given, each in a loop of its own. */
export class KinesisReader<T> extends SourceReaderBase<T, KinesisSplit> {
  readonly #api: KinesisApi
  readonly #options: ResolvedOptions<T>
  readonly #release: () => void
  readonly #retention: Retention
  readonly #fetchers = new Map<string, KinesisSplitFetcher<T>>()

  /** @param release - gives the client back. */
  constructor(context: ReaderContext, api: KinesisApi, options: ResolvedOptions<T>, release: () => void) {
    super(context, { maxFetchedBytes: options.maxFetchedBytes, maxBytesPerFetch: MAX_BYTES_PER_FETCH })
    this.#api = api
    this.#options = options
    this.#release = release
    this.#retention = new Retention(api, context.clock)
  }

  override snapshotState(checkpointId: number): readonly KinesisSplit[] {
    return super.snapshotState(checkpointId).map((split) => {
      if (split.finished === true) {
        this.#fetchers.delete(split.splitId)
        return split
      }
      return this.#fetchers.get(split.splitId)?.withKnown(split) ?? split
    })
  }

  override async close(deadlineMs: number): Promise<void> {
    await super.close(deadlineMs)
    this.#release()
  }

  protected override openSplit(split: KinesisSplit): SplitFetcher<T, KinesisSplit> {
    const { streamName, maxRecordsPerFetch, emptyFetchIntervalMs, fetchIntervalMs, deserialize } = this.#options
    const options = { streamName, maxRecordsPerFetch, emptyFetchIntervalMs, fetchIntervalMs, deserialize }
    const fetcher = new KinesisSplitFetcher<T>(this.context, this.#api, options, this.#retention, split)
    this.#fetchers.set(split.splitId, fetcher)
    return fetcher
  }

  protected override describePosition(split: KinesisSplit): string {
    return describePosition(split.position)
  }
}
