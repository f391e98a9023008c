import { createHash, hash } from 'node:crypto'

interface Named {
  readonly Name: string
  readonly Value: string
}

interface WireRecord {
  readonly Dimensions?: readonly Named[]
  readonly MeasureName?: string
  readonly MeasureValueType?: string
  readonly MeasureValues?: readonly (Named & { readonly Type: string })[]
  readonly Time?: string
  readonly TimeUnit?: string
}

interface WireRequest {
  readonly DatabaseName: string
  readonly TableName: string
  readonly CommonAttributes?: WireRecord
  readonly Records: readonly WireRecord[]
}

const BILLED_UNIT_BYTES = 1024
const NUMBER_BYTES = 8

/** What requests say, with their common attributes in each record, and nothing of how they say it: in which order and request. */
export class Content {
  readonly #records: string[] = []
  records = 0
  /** As the service meters: common attributes once, each request rounded up to whole writes of 1 KiB. */
  billedUnits = 0

  /** @throws Error when the service would not take the request. */
  add(body: Buffer): void {
    const {
      DatabaseName,
      TableName,
      CommonAttributes: common = {},
      Records,
    } = JSON.parse(body.toString()) as WireRequest
    let bytes = meteredBytes(common)
    for (const record of Records) {
      for (const field of Object.keys(record)) {
        if (field !== 'Dimensions' && field in common) throw new Error(`${field} is common and of a record`)
      }
      bytes += meteredBytes(record)
      const whole = { ...common, ...record }
      const text = JSON.stringify([
        DatabaseName,
        TableName,
        dimensionsOf([...(common.Dimensions ?? []), ...(record.Dimensions ?? [])]),
        texts(whole.MeasureName, whole.MeasureValueType, whole.Time, whole.TimeUnit),
        (whole.MeasureValues ?? []).map(({ Name, Value, Type }) => texts(Name, Value, Type)),
      ])
      this.#records.push(hash('sha256', text, 'base64'))
    }
    this.records += Records.length
    this.billedUnits += Math.max(1, Math.ceil(bytes / BILLED_UNIT_BYTES))
  }

  /** Equal for equal sets of records. */
  digest(): string {
    const all = createHash('sha256')
    for (const record of this.#records.sort()) all.update(record)
    return `${this.records} records, ${new Set(this.#records).size} different, ${all.digest('hex').slice(0, 16)}`
  }
}

function dimensionsOf(dimensions: readonly Named[]): readonly string[] {
  const list = dimensions.map(({ Name, Value }) => JSON.stringify(texts(Name, Value))).sort()
  if (new Set(dimensions.map(({ Name }) => Name)).size !== list.length) throw new Error('a dimension is given twice')
  return list
}

/** All values of the service are texts: nothing is lost when they are read. */
function texts(...values: readonly (string | undefined)[]): readonly string[] {
  return values.map((value) => {
    if (typeof value === 'string' && value !== '') return value
    throw new Error(`a value is no text but ${typeof value}`)
  })
}

/** See https://docs.aws.amazon.com/timestream/latest/developerguide/metering-and-pricing.writes.html */
function meteredBytes({ Dimensions = [], MeasureName = '', MeasureValues = [], Time }: WireRecord): number {
  let bytes = Buffer.byteLength(MeasureName) + (Time === undefined ? 0 : NUMBER_BYTES)
  for (const { Name, Value } of Dimensions) bytes += Buffer.byteLength(Name) + Buffer.byteLength(Value)
  for (const { Name, Value, Type } of MeasureValues) {
    bytes += Buffer.byteLength(Name) + (Type === 'VARCHAR' ? Buffer.byteLength(Value) : NUMBER_BYTES)
  }
  return bytes
}
