import { TimestreamWriteClient, WriteRecordsCommand } from '@aws-sdk/client-timestream-write'
import { Pool } from 'undici'
import { atOnce, AWS, DATABASE, type Decode, type Sender, type SenderOptions, TABLE } from './sender.ts'
import { SHAPES } from './shapes.ts'
import { UndiciHandler } from './undici-handler.ts'

/** What users write: a client as it comes, and so many sends at one time. */
export function stockLoop(options: SenderOptions, decode: Decode): Sender {
  return sdkLoop(new TimestreamWriteClient({ ...AWS, endpoint: options.url }), options, decode, false)
}

/**
 * What the SDK can be made to do.
 *
 * @param isCommon - what is known to be the same in all records is a common attribute.
 */
export function tunedLoop(options: SenderOptions, decode: Decode, isCommon: boolean): Sender {
  const client = new TimestreamWriteClient({
    ...AWS,
    endpoint: options.url,
    cacheMiddleware: true,
    requestHandler: new UndiciHandler(options.url, options.inFlight),
  })
  client.middlewareStack.remove('loggerMiddleware')
  return sdkLoop(client, options, decode, isCommon)
}

function sdkLoop(
  client: TimestreamWriteClient,
  { measures, inFlight }: SenderOptions,
  decode: Decode,
  isCommon: boolean,
): Sender {
  const { sdk: convert } = SHAPES[measures]
  const inputOf = (rows: readonly never[]): WriteRecordsCommand['input'] => {
    const table = { DatabaseName: DATABASE, TableName: TABLE }
    const records = rows.map(convert)
    if (!isCommon || records[0] === undefined) return { ...table, Records: records }
    const { MeasureName, MeasureValueType, TimeUnit } = records[0]
    return {
      ...table,
      CommonAttributes: { MeasureName, MeasureValueType, TimeUnit },
      Records: records.map(({ Dimensions, MeasureValues, Time }) => ({ Dimensions, MeasureValues, Time })),
    }
  }
  return {
    prepare: (batches) => () =>
      atOnce(batches, inFlight, async (batch) => {
        const rows = decode(batch)
        const { RecordsIngested } = await client.send(new WriteRecordsCommand(inputOf(rows)))
        if (RecordsIngested?.Total !== rows.length) throw new Error('not all records were taken')
      }),
    close: () => Promise.resolve(client.destroy()),
  }
}

/** The floor: bodies that are ready, without a signature. */
export function rawPost({ measures, inFlight, url }: SenderOptions, decode: Decode): Sender {
  const { sdk: convert } = SHAPES[measures]
  const pool = new Pool(url, { connections: inFlight })
  const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'Timestream_20181101.WriteRecords' }
  return {
    prepare: (batches) => {
      const bodies = batches.map((batch) =>
        Buffer.from(JSON.stringify({ DatabaseName: DATABASE, TableName: TABLE, Records: decode(batch).map(convert) })),
      )
      return () =>
        atOnce(bodies, inFlight, async (body) => {
          const answer = await pool.request({ path: '/', method: 'POST', headers, body })
          await answer.body.dump()
          if (answer.statusCode !== 200) throw new Error(`answered ${answer.statusCode}`)
        })
    },
    close: () => pool.close(),
  }
}
