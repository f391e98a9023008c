import {
  type Clock,
  type Logger,
  MetricRegistry,
  type RestoredSource,
  silentLogger,
  type SluiceError,
  type Source,
  type SourceReader,
  type SplitEnumerator,
  systemClock,
} from '@sluice/core'
import { onTestFinished } from 'vitest'

import type { KinesisEnumeratorState, KinesisSplit } from '../../src/index.ts'

export type KinesisSourceLike = Source<unknown, KinesisSplit, KinesisEnumeratorState>
export type Snapshot = RestoredSource<KinesisSplit, KinesisEnumeratorState>

export interface Emitted {
  readonly shardId: string
  readonly value: unknown
  readonly position: string
}

export interface MiniJobOptions {
  readonly parallelism?: number
  readonly clock?: Clock
  readonly logger?: Logger
  readonly restored?: Snapshot
}

/** Runs a source as a job does: the start is resolved first, then splits are read, emitted and reported as finished. */
export class MiniJob {
  readonly metrics: MetricRegistry = new MetricRegistry()
  readonly assigned: { readonly shardId: string; readonly subtask: number }[] = []
  readonly emitted: Emitted[] = []
  readonly failures: SluiceError[] = []
  readonly enumerator: SplitEnumerator<KinesisEnumeratorState>
  readonly readers: readonly SourceReader<unknown, KinesisSplit>[]
  readonly #stop = new AbortController()
  readonly #held: { readonly splits: readonly KinesisSplit[]; readonly subtask: number }[] = []
  readonly #stateVersion: number
  #started = false
  #checkpointId = 0

  constructor(source: KinesisSourceLike, options: MiniJobOptions = {}) {
    const { parallelism = 1, clock = systemClock, logger = silentLogger, restored } = options
    this.#stateVersion = source.stateVersion
    const context = {
      sourceUid: source.uid,
      logger,
      metrics: this.metrics,
      clock,
      random: () => 0.5,
      signal: this.#stop.signal,
      requestCheckpoint: () => {},
      fail: (error: SluiceError) => void this.failures.push(error),
    }
    const assign = (splits: readonly KinesisSplit[], subtask: number): void => {
      for (const { splitId } of splits) this.assigned.push({ shardId: splitId, subtask })
      if (this.#started) this.readers[subtask]?.addSplits(splits)
      else this.#held.push({ splits, subtask })
    }
    const none = { noMoreSplits: () => {}, release: () => Promise.resolve([]) }
    this.enumerator = source.createEnumerator({ ...context, parallelism, assign, ...none }, restored)
    this.readers = Array.from({ length: parallelism }, (_, subtask) => source.createReader({ ...context, subtask }))
  }

  async start(): Promise<this> {
    await this.enumerator.start()
    this.#started = true
    for (const { splits, subtask } of this.#held) this.readers[subtask]?.addSplits(splits)
    return this
  }

  /** Emits what was fetched, at most `limit` records of one batch. */
  pump(limit = Infinity): number {
    let count = 0
    for (const [subtask, reader] of this.readers.entries()) {
      for (let batch = reader.poll(); batch !== undefined; batch = reader.poll()) {
        const upTo = Math.min(limit, batch.values.length)
        for (let i = 0; i < upTo; i++) {
          const value = batch.decodeErrors?.has(i) === true ? batch.decodeErrors.get(i) : batch.values[i]
          this.emitted.push({ shardId: batch.splitId, value, position: batch.raw(i)?.position ?? '' })
        }
        count += upTo
        reader.emitted(batch, upTo)
        if (batch.lastOfSplit && upTo === batch.values.length) this.enumerator.splitFinished(batch.splitId, subtask)
      }
    }
    return count
  }

  /** What a checkpoint would hold, after its way through JSON. */
  snapshot(): Snapshot {
    const id = ++this.#checkpointId
    const splits = this.readers.flatMap((reader) => reader.snapshotState(id))
    const parts = { stateVersion: this.#stateVersion, enumerator: this.enumerator.snapshotState(id), splits }
    return JSON.parse(JSON.stringify(parts)) as Snapshot
  }

  values(): unknown[] {
    return this.emitted.map(({ value }) => value)
  }

  metric(name: string): number | undefined {
    return this.metrics.collect().find(({ definition }) => definition.name === name)?.value
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.enumerator[Symbol.asyncDispose]()
    for (const reader of this.readers) await reader.close(1000)
  }
}

/** Starts a {@link MiniJob}, which ends with the test at the latest. */
export function startJob(source: KinesisSourceLike, options: MiniJobOptions = {}): Promise<MiniJob> {
  const job = new MiniJob(source, options)
  onTestFinished(() => job.stop())
  return job.start()
}
