import type { Shard } from '@aws-sdk/client-kinesis'
import { classifyAwsError } from '@sluice/aws'

import type { KinesisApi } from './api.ts'
import type { ShardPartition } from './split.ts'

/** A shard as the service lists it. */
export interface ListedShard {
  readonly shardId: string
  readonly parentShardIds: readonly string[]
  /** Middle of its range of hash keys. */
  readonly middle: bigint
  readonly closed: boolean
}

export interface ShardListing {
  /** Every shard that has not expired, in the order of the service. */
  readonly shards: ReadonlyMap<string, ListedShard>
  /** The service's clock when the first page was made; undefined if its answer did not say. */
  readonly serviceTimeMs: number | undefined
}

/**
 * Lists the shards, all pages.
 *
 * See https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html
 *
 * @param notClosedBeforeMs - leaves out shards that were closed before this time.
 */
export async function listShards(
  api: KinesisApi,
  signal: AbortSignal,
  notClosedBeforeMs?: number,
): Promise<ShardListing> {
  const first = await api.listShards(notClosedBeforeMs === undefined ? {} : { notClosedBeforeMs }, signal)
  const shards = new Map<string, ListedShard>()
  for (let page = first.output; ;) {
    for (const shard of page.Shards ?? []) {
      const listed = listedShard(shard)
      shards.set(listed.shardId, listed)
    }
    if (page.NextToken === undefined) break
    page = (await api.listShards({ nextToken: page.NextToken }, signal)).output
  }
  return { shards, serviceTimeMs: first.serviceTimeMs }
}

/** Whether the service knows the shard, whatever it lists: only then it has an iterator for it. */
export async function hasShard(api: KinesisApi, shardId: string, signal: AbortSignal): Promise<boolean> {
  try {
    await api.getShardIterator(shardId, { kind: 'TRIM_HORIZON' }, signal)
    return true
  } catch (error) {
    if (classifyAwsError(error).kind === 'notFound') return false
    throw error
  }
}

/** Hash keys are unsigned numbers of this many bits. */
const HASH_KEY_BITS = 128n

/**
 * Which of `parts` equal parts of the hash key space a shard belongs to: by the middle of its range, so that shards of equal
 * size spread evenly, whatever their number (Flink's UniformShardAssigner).
 */
function partOf(shard: Pick<ListedShard, 'middle'>, parts: number): number {
  return Number((shard.middle * BigInt(parts)) >> HASH_KEY_BITS)
}

/** Which of the process's `parallelism` subtasks reads one of its shards: they share the process's part of the hash key space. */
export function subtaskOf(
  shard: Pick<ListedShard, 'middle'>,
  parallelism: number,
  partition: ShardPartition | undefined,
): number {
  return partOf(shard, (partition?.count ?? 1) * parallelism) % parallelism
}

/** Whether this process reads the shard. */
export function isOurs(shard: Pick<ListedShard, 'middle'>, partition: ShardPartition | undefined): boolean {
  return partition === undefined || partOf(shard, partition.count) === partition.index
}

function listedShard(shard: Shard): ListedShard {
  const { ShardId, ParentShardId, AdjacentParentShardId, HashKeyRange, SequenceNumberRange } = shard
  return {
    shardId: ShardId ?? '',
    parentShardIds: [ParentShardId, AdjacentParentShardId].filter((id) => id !== undefined),
    middle: (BigInt(HashKeyRange?.StartingHashKey ?? 0) + BigInt(HashKeyRange?.EndingHashKey ?? 0)) / 2n,
    closed: SequenceNumberRange?.EndingSequenceNumber !== undefined,
  }
}
