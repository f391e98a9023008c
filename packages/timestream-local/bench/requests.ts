/** The 20 measures of a host in the sample that Amazon ships with its Timestream connectors. */
const MEASURES = [
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
]
const HOSTS = 1000
const RECORDS = 100

export const DATABASE = 'bench'
export const TABLE = 'hosts'

export interface RequestShape {
  /** Dimensions that all records share, the measure name and the type are in `CommonAttributes`, behind the records. */
  readonly common: boolean
  /** There are spaces between the tokens of the JSON. */
  readonly spaced: boolean
}

/**
 * Writes the body of request number `n`: 100 records of 8 dimensions and 20 DOUBLE measures. Every record of a run has a
 * key and values of its own, so nothing can be answered from what was sent before.
 */
export function requestBody(n: number, fromMs: number, { common, spaced }: RequestShape): string {
  const records: string[] = []
  for (let r = 0; r < RECORDS; r++) {
    const record = n * RECORDS + r
    const host = record % HOSTS
    const time = fromMs + Math.trunc(record / HOSTS)
    const own = dimension('instance_name', `i-zaZswmJk-hercules-${String(host).padStart(4, '0')}.amazonaws.com`)
    const dimensions = common ? own : `${SHARED},${own}`
    const kind = common ? '' : `${KIND},`
    records.push(`{${kind}"Dimensions":[${dimensions}],"Time":"${time}","MeasureValues":[${measures(record)}]}`)
  }
  const attributes = common ? `,"CommonAttributes":{"Dimensions":[${SHARED}],${KIND}}` : ''
  const body = `{"DatabaseName":"${DATABASE}","TableName":"${TABLE}","Records":[${records.join(',')}]${attributes}}`
  return spaced ? body.replaceAll('":', '": ').replaceAll(',"', ', "').replaceAll(',{', ', {') : body
}

const KIND = '"MeasureName":"metrics_record","MeasureValueType":"MULTI","TimeUnit":"MILLISECONDS"'
const SHARED = [
  dimension('region', 'us-east-2'),
  dimension('cell', 'us-east-2-cell-3'),
  dimension('silo', 'us-east-2-cell-3-silo-2'),
  dimension('availability_zone', 'us-east-2-1'),
  dimension('microservice_name', 'hercules'),
  dimension('instance_type', 'm5.8xlarge'),
  dimension('os_version', 'AL2012'),
].join(',')

function dimension(name: string, value: string): string {
  return `{"Name":"${name}","Value":"${value}"}`
}

function measures(record: number): string {
  let text = ''
  for (const [m, name] of MEASURES.entries()) {
    const value = ((record * 7919 + m * 104_729) % 10_000) / 100
    text += `${m === 0 ? '' : ','}{"Name":"${name}","Value":"${value}","Type":"DOUBLE"}`
  }
  return text
}
