import type { WriteRecordsRequest } from '@aws-sdk/client-timestream-write'
import { parseJson } from '@sluice/aws/json-client'
import type { Entry } from '../record/entry.ts'
import type { Common, CommonFinder } from './common.ts'
import type { WriteRequest } from './request.ts'

const TIME_BYTES = 8

/** A request whose common attributes were found, written as JSON from parts that its records and series keep. */
export class EntriesRequest implements WriteRequest {
  readonly databaseName: string
  readonly tableName: string
  readonly count: number
  readonly measures: number
  readonly commonDimensions: number
  readonly bytes: number
  readonly #entries: readonly Entry[]
  readonly #common: Common
  #body: string | undefined

  constructor(databaseName: string, tableName: string, entries: readonly Entry[], finder: CommonFinder) {
    this.databaseName = databaseName
    this.tableName = tableName
    this.#entries = entries
    this.#common = finder.of(entries)
    this.count = entries.length
    this.commonDimensions = this.#common.dimensions.size
    let measures = 0
    let bytes = 0
    for (const entry of entries) {
      measures += entry.measures
      bytes += entry.sizeInBytes
    }
    this.measures = measures
    this.bytes = bytes - (this.count - 1) * commonBytes(this.#common, entries[0] as Entry)
  }

  get body(): string {
    this.#body ??= this.#write()
    return this.#body
  }

  toSdk(): WriteRecordsRequest {
    return parseJson(this.body) as WriteRecordsRequest
  }

  #write(): string {
    const common = this.#common
    const head = `{"DatabaseName":${JSON.stringify(this.databaseName)},"TableName":${JSON.stringify(this.tableName)}`
    const shared = writeCommon(common, this.#entries[0] as Entry)
    let records = ''
    for (const entry of this.#entries) {
      if (records !== '') records += ','
      records += writeRecord(entry, common)
    }
    return `${head}${shared === '{}' ? '' : `,"CommonAttributes":${shared}`},"Records":[${records}]}`
  }
}

function writeCommon(common: Common, first: Entry): string {
  let json = ''
  if (common.dimensions.size > 0) json += `,"Dimensions":[${[...common.dimensions].join()}]`
  if (common.measureName) json += `,"MeasureName":${JSON.stringify(first.measureName)}`
  if (common.type) json += `,"MeasureValueType":${JSON.stringify(first.type)}`
  if (common.time) json += `,"Time":"${first.time}"`
  if (common.unit) json += `,"TimeUnit":"${first.unit}"`
  if (common.version) json += `,"Version":${first.version}`
  return `{${json.slice(1)}}`
}

function writeRecord(entry: Entry, common: Common): string {
  const { series, measureName, type, values, time, hasUnit, version } = entry
  // Values come first: a sound record has some, so that what follows them begins with a comma.
  let json = `{${values}`
  const dimensions = series.restOf(common.dimensions)
  if (dimensions !== '') json += `,"Dimensions":[${dimensions}]`
  if (!common.measureName) json += `,"MeasureName":${JSON.stringify(measureName)}`
  if (!common.type && type !== undefined) json += `,"MeasureValueType":${JSON.stringify(type)}`
  if (!common.time) json += `,"Time":"${time}"`
  if (!common.unit && hasUnit) json += `,"TimeUnit":"${entry.unit}"`
  if (!common.version && version !== undefined) json += `,"Version":${version}`
  return `${json}}`
}

function commonBytes(common: Common, { measureName }: Entry): number {
  const nameBytes = common.measureName ? Buffer.byteLength(measureName) : 0
  return common.dimensionBytes + nameBytes + (common.time ? TIME_BYTES : 0)
}
