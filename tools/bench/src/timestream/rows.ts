/** A row as a program receives it: flat, with numbers. */
export interface Row {
  readonly time: number
}

export interface SmallRow extends Row {
  readonly region: string
  readonly rack: string
  readonly host: string
  readonly cpu: number
  readonly memory: number
  readonly load: number
}

interface Instance extends Row {
  readonly region: string
  readonly cell: string
  readonly silo: string
  readonly availability_zone: string
  readonly microservice_name: string
  readonly instance_name: string
}

export interface EventRow extends Instance {
  readonly process_name: string
  readonly jdk_version: string
  readonly task_completed: number
  readonly task_end_state: string
  readonly gc_reclaimed: number
  readonly gc_pause: number
  readonly memory_free: number
}

export const HOST_METRICS = [
  'cpu_user',
  'cpu_system',
  'cpu_steal',
  'cpu_iowait',
  'cpu_nice',
  'cpu_hi',
  'cpu_si',
  'cpu_idle',
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
] as const

export type HostMetricRow = Instance &
  Readonly<Record<(typeof HOST_METRICS)[number], number>> & {
    readonly instance_type: string
    readonly os_version: string
  }

const REGIONS = ['us-east-1', 'us-east-2', 'us-west-1', 'us-west-2', 'eu-west-1', 'ap-northeast-1']
const SERVICES = ['apollo', 'athena', 'demeter', 'hercules', 'zeus']
const STATES = ['SUCCESS_WITH_NO_RESULT', 'SUCCESS_WITH_RESULT', 'USER_ERROR']
const PER_SILO = 10

export function smallRow(series: number, time: number): SmallRow {
  const value = (index: number): number => decimals(series, time, index)
  return {
    time,
    region: regionOf(series),
    rack: `rack-${Math.floor(series / PER_SILO)}`,
    host: `host-${series}.example.com`,
    cpu: value(0),
    memory: value(1),
    load: value(2),
  }
}

export function eventRow(series: number, time: number): EventRow {
  return {
    time,
    ...instanceOf(series),
    process_name: `${serviceOf(series)}-server`,
    jdk_version: `JDK_${8 + (series % 3) * 3}`,
    task_completed: (series * 7 + time) % 500,
    task_end_state: STATES[(series + time) % STATES.length] ?? '',
    gc_reclaimed: decimals(series, time, 0),
    gc_pause: decimals(series, time, 1),
    memory_free: decimals(series, time, 2),
  }
}

export function hostMetricRow(series: number, time: number): HostMetricRow {
  const metrics = HOST_METRICS.map((name, index) => [name, decimals(series, time, index)] as const)
  return {
    time,
    ...instanceOf(series),
    instance_type: `r5.${1 << (series % 4)}xlarge`,
    os_version: 'AL2012',
    ...(Object.fromEntries(metrics) as Record<(typeof HOST_METRICS)[number], number>),
  }
}

/** The names of the sample's generator. */
function instanceOf(series: number): Omit<Instance, 'time'> {
  const region = regionOf(series)
  const silo = Math.floor(series / PER_SILO)
  const number = String(series % PER_SILO).padStart(4, '0')
  return {
    region,
    cell: `${region}-cell-${1 + Math.floor(silo / 2)}`,
    silo: `${region}-cell-${1 + Math.floor(silo / 2)}-silo-${1 + (silo % 2)}`,
    availability_zone: `${region}-${1 + (series % 3)}`,
    microservice_name: serviceOf(series),
    instance_name: `i-zaZswmJk-${serviceOf(series)}-${silo}-${number}.amazonaws.com`,
  }
}

function regionOf(series: number): string {
  return REGIONS[Math.floor(series / 167) % REGIONS.length] ?? ''
}

function serviceOf(series: number): string {
  return SERVICES[series % SERVICES.length] ?? ''
}

/** From 0 to 100, with two decimals, as the generator rounds them. */
function decimals(series: number, time: number, index: number): number {
  return ((series * 7919 + (time % 100_000) * 104_729 + index * 1_299_709) % 10_001) / 100
}
