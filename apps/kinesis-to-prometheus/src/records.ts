import { seededRandom } from '@sluice/core/testing'

/** One record as it travels through Kinesis, as JSON: what a host measured in one second. */
export interface HostRecord {
  readonly dimensions: Readonly<Record<string, string>>
  /** Milliseconds since the epoch. */
  readonly timeMs: number
  readonly measures: Readonly<Record<string, number>>
}

const REGIONS = ['us-east-1', 'us-east-2', 'us-west-1', 'us-west-2', 'eu-west-1', 'ap-northeast-1']
const MICROSERVICES = ['apollo', 'athena', 'demeter', 'hercules', 'zeus']
/** Each host has a record in each second. */
export const HOSTS = 200

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

/** Measures of a record. */
export const MEASURES: number = CPU_PARTS.length + OTHER_METRICS.length + 2

/**
 * The record with this number: 8 dimensions and 20 measures, as in the Timestream sample application for Apache Flink. Hosts follow
 * each other, and each host's time moves on by one second with each of its records. The same number gives the same record.
 */
export function hostRecord(number: number, firstSecond: number): HostRecord {
  const random = seededRandom(number)
  const timeMs = (firstSecond + Math.floor(number / HOSTS)) * 1000
  return { dimensions: host(number % HOSTS), timeMs, measures: measuresOf(number, random) }
}

function host(index: number): Record<string, string> {
  const region = REGIONS[index % REGIONS.length] ?? ''
  const service = MICROSERVICES[index % MICROSERVICES.length] ?? ''
  const cell = `${region}-cell-${(index % 3) + 1}`
  return {
    region,
    cell,
    silo: `${cell}-silo-${(index % 2) + 1}`,
    availability_zone: `${region}-${(index % 3) + 1}`,
    microservice_name: service,
    instance_type: index % 2 === 0 ? 'r5.4xlarge' : 'c5.16xlarge',
    os_version: index % 2 === 0 ? 'AL2' : 'AL2012',
    instance_name: `i-zaZswmJk-${service}-${String(index).padStart(4, '0')}.amazonaws.com`,
  }
}

function measuresOf(number: number, random: () => number): Record<string, number> {
  const measures: Record<string, number> = { cpu_user: cpuUser(number, random) }
  for (const name of CPU_PARTS) measures[name] = round2(random())
  const used = Object.values(measures).reduce((total, value) => total + value, 0)
  measures['cpu_idle'] = round2(100 - used)
  for (const name of OTHER_METRICS) measures[name] = round2(random() * 100)
  return measures
}

/** A fifth of the hosts idles, a fifth is busy, the rest is in between. */
function cpuUser(number: number, random: () => number): number {
  const group = number % 5
  if (group === 0) return round2(random() * 10)
  if (group === 1) return round2(85 + random() * 10)
  return round2(35 + random() * 30)
}

function round2(value: number): number {
  return Math.round(value * 100) / 100
}
