import type { EventRow, HostMetricRow, SmallRow } from './rows.ts'

/** A record as the SDK has it; its numbers are what the caller makes of them. */
export interface Converted<N> {
  Dimensions: { Name: string; Value: string }[]
  MeasureName: string
  MeasureValueType: 'MULTI'
  MeasureValues: { Name: string; Value: N | string; Type: 'DOUBLE' | 'BIGINT' | 'VARCHAR' }[]
  Time: N | string
  TimeUnit: 'SECONDS'
}

// Written out, as a program has them: a loop over names would cost all variants the same, and hide what differs.

export function smallRecord<N>(row: SmallRow, number: (value: number) => N): Converted<N> {
  return {
    Dimensions: [
      { Name: 'region', Value: row.region },
      { Name: 'rack', Value: row.rack },
      { Name: 'host', Value: row.host },
    ],
    MeasureName: 'host_load',
    MeasureValueType: 'MULTI',
    MeasureValues: [
      { Name: 'cpu', Value: number(row.cpu), Type: 'DOUBLE' },
      { Name: 'memory', Value: number(row.memory), Type: 'DOUBLE' },
      { Name: 'load', Value: number(row.load), Type: 'DOUBLE' },
    ],
    Time: number(row.time),
    TimeUnit: 'SECONDS',
  }
}

export function eventRecord<N>(row: EventRow, number: (value: number) => N): Converted<N> {
  return {
    Dimensions: [
      { Name: 'region', Value: row.region },
      { Name: 'cell', Value: row.cell },
      { Name: 'silo', Value: row.silo },
      { Name: 'availability_zone', Value: row.availability_zone },
      { Name: 'microservice_name', Value: row.microservice_name },
      { Name: 'instance_name', Value: row.instance_name },
      { Name: 'process_name', Value: row.process_name },
      { Name: 'jdk_version', Value: row.jdk_version },
    ],
    MeasureName: 'events_record',
    MeasureValueType: 'MULTI',
    MeasureValues: [
      { Name: 'task_completed', Value: number(row.task_completed), Type: 'BIGINT' },
      { Name: 'task_end_state', Value: row.task_end_state, Type: 'VARCHAR' },
      { Name: 'gc_reclaimed', Value: number(row.gc_reclaimed), Type: 'DOUBLE' },
      { Name: 'gc_pause', Value: number(row.gc_pause), Type: 'DOUBLE' },
      { Name: 'memory_free', Value: number(row.memory_free), Type: 'DOUBLE' },
    ],
    Time: number(row.time),
    TimeUnit: 'SECONDS',
  }
}

export function hostMetricRecord<N>(row: HostMetricRow, number: (value: number) => N): Converted<N> {
  return {
    Dimensions: [
      { Name: 'region', Value: row.region },
      { Name: 'cell', Value: row.cell },
      { Name: 'silo', Value: row.silo },
      { Name: 'availability_zone', Value: row.availability_zone },
      { Name: 'microservice_name', Value: row.microservice_name },
      { Name: 'instance_type', Value: row.instance_type },
      { Name: 'os_version', Value: row.os_version },
      { Name: 'instance_name', Value: row.instance_name },
    ],
    MeasureName: 'metrics_record',
    MeasureValueType: 'MULTI',
    MeasureValues: [
      { Name: 'cpu_user', Value: number(row.cpu_user), Type: 'DOUBLE' },
      { Name: 'cpu_system', Value: number(row.cpu_system), Type: 'DOUBLE' },
      { Name: 'cpu_steal', Value: number(row.cpu_steal), Type: 'DOUBLE' },
      { Name: 'cpu_iowait', Value: number(row.cpu_iowait), Type: 'DOUBLE' },
      { Name: 'cpu_nice', Value: number(row.cpu_nice), Type: 'DOUBLE' },
      { Name: 'cpu_hi', Value: number(row.cpu_hi), Type: 'DOUBLE' },
      { Name: 'cpu_si', Value: number(row.cpu_si), Type: 'DOUBLE' },
      { Name: 'cpu_idle', Value: number(row.cpu_idle), Type: 'DOUBLE' },
      { Name: 'memory_free', Value: number(row.memory_free), Type: 'DOUBLE' },
      { Name: 'memory_used', Value: number(row.memory_used), Type: 'DOUBLE' },
      { Name: 'memory_cached', Value: number(row.memory_cached), Type: 'DOUBLE' },
      { Name: 'disk_io_reads', Value: number(row.disk_io_reads), Type: 'DOUBLE' },
      { Name: 'disk_io_writes', Value: number(row.disk_io_writes), Type: 'DOUBLE' },
      { Name: 'latency_per_read', Value: number(row.latency_per_read), Type: 'DOUBLE' },
      { Name: 'latency_per_write', Value: number(row.latency_per_write), Type: 'DOUBLE' },
      { Name: 'network_bytes_in', Value: number(row.network_bytes_in), Type: 'DOUBLE' },
      { Name: 'network_bytes_out', Value: number(row.network_bytes_out), Type: 'DOUBLE' },
      { Name: 'disk_used', Value: number(row.disk_used), Type: 'DOUBLE' },
      { Name: 'disk_free', Value: number(row.disk_free), Type: 'DOUBLE' },
      { Name: 'file_descriptors_in_use', Value: number(row.file_descriptors_in_use), Type: 'DOUBLE' },
    ],
    Time: number(row.time),
    TimeUnit: 'SECONDS',
  }
}
