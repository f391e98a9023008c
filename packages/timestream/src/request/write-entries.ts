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
  #body: Uint8Array | undefined

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

  get body(): Uint8Array {
    this.#body ??= this.#write()
    return this.#body
  }

  toSdk(): WriteRecordsRequest {
    return parseJson(Buffer.from(this.body).toString()) as WriteRecordsRequest
  }

  #write(): Uint8Array {
    const common = this.#common
    const { dimensions } = common
    const shared = writeCommon(common, this.#entries[0] as Entry)
    const head = `{"DatabaseName":${JSON.stringify(this.databaseName)},"TableName":${JSON.stringify(this.tableName)}${shared},"Records":`
    const headBytes = Buffer.byteLength(head)
    let size = headBytes + TAIL_BYTES
    for (const { start, end, series, form, time } of this.#entries) {
      size += end - start + series.restOf(dimensions).length + form.restOf(common).length + time.length + RECORD_BYTES
    }
    const body = Buffer.allocUnsafe(size)
    let at = body.write(head)
    for (const entry of this.#entries) at = writeRecord(body, at, entry, common)
    // Each record begins with a comma.
    body[headBytes] = OPENING_BRACKET
    return body.subarray(0, at + body.write(']}', at))
  }
}

const OPENING_BRACKET = 0x5b
const CLOSING_BRACE = 0x7d
const QUOTE = 0x22
/** `]}` */
const TAIL_BYTES = 2
const RECORD_HEAD = new Uint8Array(Buffer.from(',{'))
const TIME_HEAD = new Uint8Array(Buffer.from(',"Time":"'))
const VERSION_HEAD = ',"Version":'
/** At most what a record has beside values, dimensions, form and time: a version has up to 19 digits. */
const RECORD_BYTES = RECORD_HEAD.length + TIME_HEAD.length + '"'.length + VERSION_HEAD.length + 19 + '}'.length

/** The caller made room. @returns where the record ends. */
function writeRecord(body: Buffer, start: number, entry: Entry, common: Common): number {
  const { series, form, time, version } = entry
  body.set(RECORD_HEAD, start)
  let at = start + RECORD_HEAD.length
  // Values come first: a sound record has some, so that what follows them begins with a comma.
  at += entry.chunk.copy(body, at, entry.start, entry.end)
  const dimensions = series.restOf(common.dimensions)
  body.set(dimensions, at)
  at += dimensions.length
  const rest = form.restOf(common)
  body.set(rest, at)
  at += rest.length
  if (!common.time) {
    body.set(TIME_HEAD, at)
    at += TIME_HEAD.length
    for (let i = 0; i < time.length; i++) body[at++] = time.charCodeAt(i)
    body[at++] = QUOTE
  }
  if (!common.version && version !== undefined) at += body.write(`${VERSION_HEAD}${version}`, at, 'latin1')
  body[at] = CLOSING_BRACE
  return at + 1
}

/** `,"CommonAttributes":{...}`, or nothing. */
function writeCommon(common: Common, first: Entry): string {
  const { measureName, type, unit } = first.form
  let json = ''
  if (common.dimensions.size > 0) json += `,"Dimensions":[${[...common.dimensions].join()}]`
  if (common.measureName) json += `,"MeasureName":${JSON.stringify(measureName)}`
  if (common.type) json += `,"MeasureValueType":${JSON.stringify(type)}`
  if (common.time) json += `,"Time":"${first.time}"`
  if (common.unit) json += `,"TimeUnit":"${unit}"`
  if (common.version) json += `,"Version":${first.version}`
  return json === '' ? '' : `,"CommonAttributes":{${json.slice(1)}}`
}

function commonBytes(common: Common, { form }: Entry): number {
  const nameBytes = common.measureName ? Buffer.byteLength(form.measureName) : 0
  return common.dimensionBytes + nameBytes + (common.time ? TIME_BYTES : 0)
}
