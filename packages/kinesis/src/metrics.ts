import type { MetricDefinition } from '@sluice/core'

type Name =
  | 'numFetches'
  | 'numEmptyFetches'
  | 'numFetchErrors'
  | 'numFetchesThrottled'
  | 'numExpiredIterators'
  | 'numExpiryGaps'
  | 'numShardDiscoveries'
  | 'numShardDiscoveryErrors'
  | 'numShardsAssigned'
  | 'numShardsWaiting'

/** Metrics of this source beside those of every source (`SOURCE_METRICS` of `@sluice/core`). */
export const KINESIS_METRICS: Readonly<Record<Name, MetricDefinition>> = {
  numFetches: metric('numFetches', 'counter', 'requests', 'GetRecords requests that were answered.'),
  numEmptyFetches: metric(
    'numEmptyFetches',
    'counter',
    'requests',
    'GetRecords requests that were answered without a record.',
  ),
  numFetchErrors: metric(
    'numFetchErrors',
    'counter',
    'requests',
    'GetRecords and GetShardIterator requests that failed and are repeated, throttled ones included.',
  ),
  numFetchesThrottled: metric(
    'numFetchesThrottled',
    'counter',
    'requests',
    'GetRecords and GetShardIterator requests that the service asked to slow down for.',
  ),
  numExpiredIterators: metric(
    'numExpiredIterators',
    'counter',
    'events',
    'Shard iterators that expired, five minutes after they were made, before their next use.',
  ),
  numExpiryGaps: metric(
    'numExpiryGaps',
    'counter',
    'events',
    'Reads that went on where records may have expired unread, of shards that are read from their oldest record.',
  ),
  numShardDiscoveries: metric('numShardDiscoveries', 'counter', 'events', 'Complete listings of the shards.'),
  numShardDiscoveryErrors: metric(
    'numShardDiscoveryErrors',
    'counter',
    'events',
    'Listings of the shards that failed and are repeated.',
  ),
  numShardsAssigned: metric('numShardsAssigned', 'gauge', 'splits', 'Shards that are being read.'),
  numShardsWaiting: metric(
    'numShardsWaiting',
    'gauge',
    'splits',
    'Shards that are known and wait until their parents have been read.',
  ),
}

function metric(
  name: string,
  kind: MetricDefinition['kind'],
  unit: MetricDefinition['unit'],
  help: string,
): MetricDefinition {
  return { name, kind, unit, help }
}
