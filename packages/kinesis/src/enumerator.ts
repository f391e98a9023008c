import { delay, type EnumeratorContext, type RestoredSource, SluiceError, type SplitEnumerator } from '@sluice/core'

import type { KinesisApi } from './api.ts'
import { ShardDiscovery } from './discovery.ts'
import { KINESIS_METRICS } from './metrics.ts'
import { FinishedShards } from './finished-shards.ts'
import type { ResolvedOptions } from './options.ts'
import { checkSameStream } from './same-stream.ts'
import { isCloseToExpiry, MIN_RETENTION_MS, failPositionLost } from './retention.ts'
import { hasShard, isOurs, type ListedShard, listShards, type ShardListing, subtaskOf } from './shards.ts'
import { resolveStart, serviceNowMs } from './start-position.ts'
import { type KinesisEnumeratorState, type KinesisSplit, wantsOldest } from './split.ts'

const HOUR_MS = 3_600_000

/**
 * Knows the shards: finds them, resolves where each begins, and assigns a shard when its parents have been read to their
 * end.
 */
export class KinesisEnumerator implements SplitEnumerator<KinesisEnumeratorState> {
  readonly #context: EnumeratorContext<KinesisSplit>
  readonly #api: KinesisApi
  readonly #options: ResolvedOptions<unknown>
  readonly #restored: RestoredSource<KinesisSplit, KinesisEnumeratorState> | undefined
  readonly #release: () => void
  readonly #discovery: ShardDiscovery
  /** Assigned and not finished. */
  readonly #reading = new Set<string>()
  readonly #waiting = new Map<string, KinesisSplit>()
  readonly #finished = new FinishedShards()
  #listed: ReadonlyMap<string, ListedShard> = new Map()
  /** What every snapshot says of the start; undefined until it is resolved. */
  #begun: Pick<KinesisEnumeratorState, 'start' | 'streamCreatedMs'> | undefined
  #listedMs = 0
  #retentionMs = MIN_RETENTION_MS

  /** @param release - gives the client back. */
  constructor(
    context: EnumeratorContext<KinesisSplit>,
    api: KinesisApi,
    options: ResolvedOptions<unknown>,
    restored: RestoredSource<KinesisSplit, KinesisEnumeratorState> | undefined,
    release: () => void,
  ) {
    this.#context = context
    this.#api = api
    this.#options = options
    this.#restored = restored
    this.#release = release
    this.#discovery = new ShardDiscovery(context, api, options.shardDiscoveryIntervalMs, (listing) => {
      this.#discovered(listing)
    })
    context.metrics.gauge(KINESIS_METRICS.numShardsAssigned, () => this.#reading.size)
    context.metrics.gauge(KINESIS_METRICS.numShardsWaiting, () => this.#waiting.size)
  }

  async start(): Promise<void> {
    const summary = await this.#discovery.ask((signal) => this.#api.describeStream(signal))
    const streamCreatedMs = summary.StreamCreationTimestamp?.getTime()
    if (summary.RetentionPeriodHours !== undefined) this.#retentionMs = summary.RetentionPeriodHours * HOUR_MS
    if (this.#restored !== undefined) {
      checkSameStream(this.#context.sourceUid, this.#options, this.#restored.enumerator, streamCreatedMs)
    }
    const listing = await this.#discovery.ask((signal) => listShards(this.#api, signal))
    const created = streamCreatedMs === undefined ? {} : { streamCreatedMs }
    if (this.#restored === undefined) {
      await this.#begin(listing, created)
    } else {
      await this.#restore(this.#restored, listing)
      this.#begun = { start: this.#restored.enumerator.start, ...created }
    }
    this.#discovered(listing)
    this.#discovery.schedule()
  }

  splitFinished(splitId: string): void {
    this.#reading.delete(splitId)
    this.#waiting.delete(splitId)
    if (this.#finished.has(splitId)) return
    this.#finished.add(splitId, this.#context.clock.wallNow())
    if (this.#begun === undefined) return
    this.#assignReady()
    // A shard ends because it has children; one that is not known yet is not left to the next interval.
    const hasChild = [...this.#listed.values()].some(({ parentShardIds }) => parentShardIds.includes(splitId))
    if (!hasChild) this.#discovery.hasten()
  }

  snapshotState(): KinesisEnumeratorState {
    if (this.#begun === undefined) {
      throw new SluiceError('SLUICE_INTERNAL', `${this.#context.sourceUid}: a snapshot before the start was resolved`)
    }
    const { shards, streamName } = this.#options
    return {
      streamName,
      ...this.#begun,
      listedMs: this.#listedMs,
      waiting: [...this.#waiting.values()],
      ...this.#finished.state(),
      ...(shards === undefined ? {} : { shards: { index: shards.index, count: shards.count } }),
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#discovery.stop()
    this.#release()
    return Promise.resolve()
  }

  /** First start: every shard of the first listing begins at the resolved position, later ones at their oldest record. */
  async #begin(listing: ShardListing, created: { streamCreatedMs?: number }): Promise<void> {
    const { clock, signal } = this.#context
    const nowMs = serviceNowMs(listing.serviceTimeMs, clock.wallNow())
    const { initialPosition } = this.#options
    const start = resolveStart(initialPosition, nowMs, this.#retentionMs)
    if (start.kind === 'TRIM_HORIZON' && initialPosition !== 'TRIM_HORIZON') {
      this.#context.logger.warn(
        { source: this.#context.sourceUid, retentionHours: this.#retentionMs / HOUR_MS },
        'initialPosition.atTimestamp is older than the retention period: beginning at the oldest record',
      )
    }
    if (start.kind === 'AT_TIMESTAMP') {
      // The service refuses a time that has not come yet.
      if (start.timestampMs > nowMs) await delay(clock, start.timestampMs - nowMs, signal)
      await this.#finishOlderThan(start.timestampMs, listing)
    }
    const closeToExpiry = start.kind === 'AT_TIMESTAMP' && isCloseToExpiry(start.timestampMs, nowMs, this.#retentionMs)
    const from = { position: start, ...(closeToExpiry ? ({ catchingUp: true } as const) : {}) }
    for (const shard of this.#ours(listing)) {
      if (!this.#finished.has(shard.shardId)) this.#waiting.set(shard.shardId, splitOf(shard, from))
    }
    this.#begun = { start, ...created }
  }

  /**
   * Shards that were closed before the start have nothing to read. An open shard is never taken for one of them, and a
   * service that does not know the filter lists them all, which are then read to their end at once.
   */
  async #finishOlderThan(startMs: number, listing: ShardListing): Promise<void> {
    const closed = this.#ours(listing).filter((shard) => shard.closed)
    if (closed.length === 0) return
    const { shards: younger } = await this.#discovery.ask((signal) => listShards(this.#api, signal, startMs))
    const nowMs = this.#context.clock.wallNow()
    for (const { shardId } of closed) if (!younger.has(shardId)) this.#finished.add(shardId, nowMs)
  }

  async #restore(
    { splits, enumerator }: RestoredSource<KinesisSplit, KinesisEnumeratorState>,
    listing: ShardListing,
  ): Promise<void> {
    const nowMs = this.#context.clock.wallNow()
    this.#listedMs = enumerator.listedMs
    this.#finished.restore(enumerator, nowMs)
    for (const { splitId, finished } of splits) if (finished === true) this.#finished.add(splitId, nowMs)
    const assign: KinesisSplit[] = []
    for (const split of splits) {
      if (this.#finished.has(split.splitId) || !(await this.#stillThere(split, listing))) continue
      this.#reading.add(split.splitId)
      assign.push(split)
    }
    for (const split of enumerator.waiting) {
      if (this.#finished.has(split.splitId) || this.#reading.has(split.splitId)) continue
      if (await this.#stillThere(split, listing)) this.#waiting.set(split.splitId, split)
    }
    this.#listed = listing.shards
    this.#assign(assign)
  }

  /**
   * A listing may lack a shard that there is, so the service is asked for the shard itself before it is given up.
   *
   * @throws SluiceError `SLUICE_POSITION_LOST` if the shard is gone with records that were not read.
   */
  async #stillThere(split: KinesisSplit, listing: ShardListing): Promise<boolean> {
    if (listing.shards.has(split.splitId)) return true
    if (await this.#discovery.ask((signal) => hasShard(this.#api, split.splitId, signal))) return true
    if (!wantsOldest(split)) {
      const nowMs = serviceNowMs(listing.serviceTimeMs, this.#context.clock.wallNow())
      failPositionLost(this.#context, split, nowMs - this.#retentionMs, nowMs)
    }
    this.#context.logger.warn(
      { source: this.#context.sourceUid, split: split.splitId },
      'the shard expired before its first record was read; it was to be read from the oldest record on',
    )
    return false
  }

  #discovered(listing: ShardListing): void {
    this.#listed = listing.shards
    for (const shard of this.#ours(listing)) {
      const { shardId } = shard
      if (this.#finished.has(shardId) || this.#reading.has(shardId) || this.#waiting.has(shardId)) continue
      const position = { kind: 'TRIM_HORIZON' } as const
      this.#waiting.set(shardId, splitOf(shard, { position, readUpToMs: this.#listedMs }))
    }
    this.#finished.forgetUnlisted(listing.shards, this.#context.clock.wallNow() - this.#retentionMs)
    this.#listedMs = serviceNowMs(listing.serviceTimeMs, this.#context.clock.wallNow())
    this.#assignReady()
  }

  #assignReady(): void {
    const ready = [...this.#waiting.values()].filter(
      (split) => !split.parentShardIds.some((id) => this.#mustWaitFor(id)),
    )
    for (const { splitId } of ready) {
      this.#waiting.delete(splitId)
      this.#reading.add(splitId)
    }
    this.#assign(ready)
  }

  #mustWaitFor(parentShardId: string): boolean {
    return this.#reading.has(parentShardId) || this.#waiting.has(parentShardId)
  }

  #assign(splits: readonly KinesisSplit[]): void {
    const bySubtask = new Map<number, KinesisSplit[]>()
    for (const split of splits) {
      const shard = this.#listed.get(split.splitId)
      const { parallelism } = this.#context
      const subtask = shard === undefined ? 0 : subtaskOf(shard, parallelism, this.#options.shards)
      const group = bySubtask.get(subtask)
      if (group === undefined) bySubtask.set(subtask, [split])
      else group.push(split)
    }
    for (const [subtask, group] of bySubtask) {
      const shards = group.map(({ splitId }) => splitId)
      this.#context.logger.info({ source: this.#context.sourceUid, subtask, shards }, 'shards assigned')
      this.#context.assign(group, subtask)
    }
  }

  #ours(listing: ShardListing): ListedShard[] {
    return [...listing.shards.values()].filter((shard) => isOurs(shard, this.#options.shards))
  }
}

function splitOf(shard: ListedShard, from: Pick<KinesisSplit, 'position' | 'readUpToMs' | 'catchingUp'>): KinesisSplit {
  return { splitId: shard.shardId, parentShardIds: shard.parentShardIds, ...from }
}
