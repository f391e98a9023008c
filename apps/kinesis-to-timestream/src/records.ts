import { type LedgerEntry, payloadHash, seededRandom } from '@sluice/core/testing'

/** Dimensions of a host, as in the Timestream sample application for Apache Flink. */
interface Host {
  readonly region: string
  readonly cell: string
  readonly silo: string
  readonly availability_zone: string
  readonly microservice_name: string
  readonly instance_type: string
  readonly os_version: string
  readonly instance_name: string
  readonly process_name: string
  readonly jdk_version: string
}

/** One record as it travels through Kinesis: JSON with a `@type`. */
export interface HostRecord {
  readonly '@type': 'metrics' | 'events'
  readonly dimensions: Readonly<Record<string, string>>
  /** Seconds since the epoch. */
  readonly time: number
  readonly measures: Readonly<Record<string, number | string>>
  readonly ledger: LedgerEntry
}

const REGIONS = ['us-east-1', 'us-east-2', 'us-west-1', 'us-west-2', 'eu-west-1', 'ap-northeast-1']
const MICROSERVICES = ['apollo', 'athena', 'demeter', 'hercules', 'zeus']
const HOSTS = 200

const METRIC_DIMENSIONS = [
  'region',
  'cell',
  'silo',
  'availability_zone',
  'microservice_name',
  'instance_type',
  'os_version',
  'instance_name',
] as const

const EVENT_DIMENSIONS = [
  'region',
  'cell',
  'silo',
  'availability_zone',
  'microservice_name',
  'instance_name',
  'process_name',
  'jdk_version',
] as const

const CPU_PARTS = ['cpu_system', 'cpu_steal', 'cpu_iowait', 'cpu_nice', 'cpu_hi', 'cpu_si']

const OTHER_METRICS = [
  'memory_free',
  'memory_used',
  'memory_cached',
  'disk_io_reads',
  'disk_io_writes',
  'latency_per_read',
  'latency_per_write',
  'network_bytes_in',
  'network_bytes_out',
  'disk_used',
  'disk_free',
  'file_descriptors_in_use',
]

/** How often each end state comes, of 100. */
const END_STATES: readonly (readonly [string, number])[] = [
  ['SUCCESS_WITH_NO_RESULT', 20],
  ['SUCCESS_WITH_RESULT', 70],
  ['INTERNAL_ERROR', 1],
  ['USER_ERROR', 7],
  ['UNKNOWN', 1],
  ['THROTTLED', 1],
]

function host(index: number): Host {
  const region = REGIONS[index % REGIONS.length] ?? 'us-east-1'
  const service = MICROSERVICES[index % MICROSERVICES.length] ?? 'apollo'
  return {
    region,
    cell: `${region}-cell-${(index % 3) + 1}`,
    silo: `${region}-cell-${(index % 3) + 1}-silo-${(index % 2) + 1}`,
    availability_zone: `${region}-${(index % 3) + 1}`,
    microservice_name: service,
    instance_type: index % 2 === 0 ? 'r5.4xlarge' : 'c5.16xlarge',
    os_version: index % 2 === 0 ? 'AL2' : 'AL2012',
    instance_name: `i-zaZswmJk-${service}-${String(index).padStart(4, '0')}.amazonaws.com`,
    process_name: index % 2 === 0 ? 'server' : 'host_manager',
    jdk_version: index % 2 === 0 ? 'JDK_11' : 'JDK_8',
  }
}

/**
 * The record with this number of a run. Metrics and events take turns, hosts follow each other, and each host's time moves on by
 * one second with each of its records: no two records have the same dimensions, measure name and time.
 *
 * @param collides - the record takes dimensions and time of the record two numbers before: Timestream keeps the first of the two.
 */
export function hostRecord(run: string, sequence: number, firstSecond: number, collides = false): HostRecord {
  const random = seededRandom(sequence)
  const round = (sequence >> 1) - (collides ? 1 : 0)
  const who = host(round % HOSTS)
  const kind = sequence % 2 === 0 ? 'metrics' : 'events'
  const names: readonly (keyof Host)[] = kind === 'metrics' ? METRIC_DIMENSIONS : EVENT_DIMENSIONS
  const dimensions = Object.fromEntries(names.map((name) => [name, who[name]]))
  const time = firstSecond + Math.floor(round / HOSTS)
  const measures = kind === 'metrics' ? metricMeasures(round, random) : eventMeasures(random)
  const hash = payloadHash(JSON.stringify([kind, dimensions, time, measures]))
  return { '@type': kind, dimensions, time, measures, ledger: { source: run, key: who.instance_name, sequence, hash } }
}

function candidatesBelow(end: number): number {
  return Math.floor(end / 4) * 2 + Math.max(0, (end % 4) - 2)
}

/** Whether the record is one of the last `collisions` that can collide: every second pair of numbers can. */
export function collidesAt(sequence: number, records: number, collisions: number): boolean {
  return sequence % 4 >= 2 && candidatesBelow(records) - candidatesBelow(sequence) <= collisions
}

/** Records between two of the same series. */
export const RECORDS_PER_SECOND_OF_EVENT_TIME: number = HOSTS * 2

function metricMeasures(round: number, random: () => number): Record<string, number> {
  const measures: Record<string, number> = { cpu_user: cpuUser(round, random) }
  for (const name of CPU_PARTS) measures[name] = round2(random())
  const used = Object.values(measures).reduce((total, value) => total + value, 0)
  measures['cpu_idle'] = round2(100 - used)
  for (const name of OTHER_METRICS) measures[name] = round2(random() * 100)
  return measures
}

/** A fifth of the hosts idles, a fifth is busy, the rest is in between. */
function cpuUser(round: number, random: () => number): number {
  const group = round % 5
  if (group === 0) return round2(random() * 10)
  if (group === 1) return round2(85 + random() * 10)
  return round2(35 + random() * 30)
}

function eventMeasures(random: () => number): Record<string, number | string> {
  return {
    task_completed: Math.floor(random() * 501),
    task_end_state: endState(random() * 100),
    gc_reclaimed: round2(random() * 100),
    gc_pause: round2(random() * 100),
    memory_free: round2(random() * 100),
  }
}

function endState(percentile: number): string {
  let upTo = 0
  for (const [state, share] of END_STATES) {
    upTo += share
    if (percentile < upTo) return state
  }
  return 'UNKNOWN'
}

function round2(value: number): number {
  return Math.round(value * 100) / 100
}
