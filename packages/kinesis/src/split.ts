import type { SourceSplit } from '@sluice/core'

/** Where reading of a shard goes on. */
export type KinesisPosition =
  /** At the oldest record that the service has. */
  | { readonly kind: 'TRIM_HORIZON' }
  /** At the first record that arrived at this time (milliseconds since the epoch) or later. */
  | { readonly kind: 'AT_TIMESTAMP'; readonly timestampMs: number }
  /**
   * After this record. `subSequenceNumber` counts user records inside one Kinesis record and is 0 for a plain one;
   * `timestampMs` is when the record arrived.
   */
  | {
      readonly kind: 'AFTER'
      readonly sequenceNumber: string
      readonly subSequenceNumber: number
      readonly timestampMs: number
    }

/** One shard in a checkpoint. */
export interface KinesisSplit extends SourceSplit {
  /** The shard's id. */
  readonly splitId: string
  /** One parent after a split, two after a merge. */
  readonly parentShardIds: readonly string[]
  readonly position: KinesisPosition
  /**
   * What arrived before this time has been read, or never was to be read (milliseconds since the epoch). It tells an idle
   * shard from one whose unread records have expired. Absent where the position says it, and for a shard that is read from
   * its oldest record, whichever that is.
   */
  readonly readUpToMs?: number
  /**
   * Reading began where records expire, at the oldest one or at a time close to that, and is not away from there yet: records
   * that expire meanwhile are told, and are no lost position. Absent for a shard that was not.
   */
  readonly catchingUp?: true
  readonly finished?: boolean
}

/** `shards: { index, count }` of the options: this process's part of the hash key space. */
export interface ShardPartition {
  /** From 0 to `count - 1`. */
  readonly index: number
  /** Processes that share the stream. */
  readonly count: number
}

/** What the enumerator keeps in a checkpoint. */
export interface KinesisEnumeratorState {
  readonly streamName: string
  /** Tells the stream from another one that was created under its name later; milliseconds since the epoch. */
  readonly streamCreatedMs?: number
  /** The start position, resolved once: `LATEST` has become a time. */
  readonly start: Exclude<KinesisPosition, { kind: 'AFTER' }>
  /** When the shards were listed last, by the service's clock: a shard that is found later is younger than that. */
  readonly listedMs: number
  /** Shards that are known and not yet assigned. */
  readonly waiting: readonly KinesisSplit[]
  /** Shards that were read to their end and that the service may still list. */
  readonly finishedShardIds: readonly string[]
  /** When each of them was, by its id; milliseconds since the epoch. */
  readonly finishedAtMs?: Readonly<Record<string, number>>
  readonly shards?: ShardPartition
}

/** The last time of which it is known that nothing older is unread; undefined if the oldest record was to be read. */
export function readUpToMs(split: Pick<KinesisSplit, 'position' | 'readUpToMs'>): number | undefined {
  const { position, readUpToMs: known } = split
  if (position.kind === 'TRIM_HORIZON') return known
  return Math.max(position.timestampMs, known ?? 0)
}

/** Whether reading began where records expire and is still there. */
export function isCatchingUp(split: KinesisSplit): boolean {
  return split.catchingUp === true || readUpToMs(split) === undefined
}

/** Whether reading is to begin at the oldest record, whichever it is then. */
export function wantsOldest(split: KinesisSplit): boolean {
  return isCatchingUp(split) && split.position.kind !== 'AFTER'
}

/** A position in words. */
export function describePosition(position: KinesisPosition): string {
  if (position.kind === 'AFTER') return `after ${position.sequenceNumber}:${position.subSequenceNumber}`
  if (position.kind === 'TRIM_HORIZON') return 'the oldest record'
  return `the first record from ${new Date(position.timestampMs).toISOString()} on`
}
