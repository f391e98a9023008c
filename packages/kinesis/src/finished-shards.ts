import type { KinesisEnumeratorState } from './split.ts'

/**
 * Shards that were read to their end. One that is forgotten while the service may still list it would be found again as new
 * and be read a second time, and a listing may lack a shard that the next one has. So a shard is kept until it is not
 * listed and nothing can be left in it.
 */
export class FinishedShards {
  readonly #finishedAtMs = new Map<string, number>()

  has(shardId: string): boolean {
    return this.#finishedAtMs.has(shardId)
  }

  /** @param nowMs - milliseconds since the epoch; the first time that is told counts. */
  add(shardId: string, nowMs: number): void {
    if (!this.has(shardId)) this.#finishedAtMs.set(shardId, nowMs)
  }

  /** @param nowMs - stands in for a time that the state does not have. */
  restore({ finishedShardIds, finishedAtMs = {} }: FinishedState, nowMs: number): void {
    for (const shardId of finishedShardIds) this.add(shardId, finishedAtMs[shardId] ?? nowMs)
  }

  /**
   * @param oldestMs - records that arrived before this time have expired; a shard that was read to its end before it was
   * closed before it, too.
   */
  forgetUnlisted(listed: ReadonlyMap<string, unknown>, oldestMs: number): void {
    for (const [shardId, finishedAtMs] of this.#finishedAtMs) {
      if (!listed.has(shardId) && finishedAtMs < oldestMs) this.#finishedAtMs.delete(shardId)
    }
  }

  state(): FinishedState {
    return { finishedShardIds: [...this.#finishedAtMs.keys()], finishedAtMs: Object.fromEntries(this.#finishedAtMs) }
  }
}

type FinishedState = Pick<KinesisEnumeratorState, 'finishedShardIds' | 'finishedAtMs'>
