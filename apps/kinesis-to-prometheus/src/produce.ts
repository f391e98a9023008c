import { type KinesisClient, PutRecordsCommand } from '@aws-sdk/client-kinesis'
import { HOSTS, type HostRecord, hostRecord } from './records.ts'

const RECORDS_PER_REQUEST = 100
const RETRY_DELAY_MS = 200
const MAX_TRIES = 50

export interface Production {
  readonly client: KinesisClient
  readonly stream: string
  readonly records: number
  readonly signal: AbortSignal
  /** Called after each request with what the stream has confirmed. */
  onConfirmed(records: readonly HostRecord[]): void
}

/** Puts the records into the stream, and repeats those that the service does not take. Ends early on abort. */
export async function produce(production: Production): Promise<void> {
  const { records, signal } = production
  // The last record's time is now.
  const firstSecond = Math.floor(Date.now() / 1000) - Math.ceil(records / HOSTS)
  for (let from = 0; from < records && !signal.aborted; from += RECORDS_PER_REQUEST) {
    const count = Math.min(RECORDS_PER_REQUEST, records - from)
    await put(
      production,
      Array.from({ length: count }, (_, index) => hostRecord(from + index, firstSecond)),
    )
  }
}

async function put(production: Production, records: readonly HostRecord[]): Promise<void> {
  const { client, stream, signal } = production
  const encoder = new TextEncoder()
  let waiting = records
  for (let attempt = 1; waiting.length > 0 && !signal.aborted; attempt++) {
    const { Records: results = [] } = await client.send(
      new PutRecordsCommand({
        StreamName: stream,
        Records: waiting.map((record) => ({
          Data: encoder.encode(JSON.stringify(record)),
          // The records of a host stay in order.
          PartitionKey: record.dimensions['instance_name'],
        })),
      }),
    )
    const refused = waiting.filter((_, index) => results[index]?.ErrorCode !== undefined)
    production.onConfirmed(waiting.filter((record) => !refused.includes(record)))
    waiting = refused
    if (waiting.length === 0) return
    if (attempt === MAX_TRIES)
      throw new Error(`the stream ${stream} took ${waiting.length} records in none of ${MAX_TRIES} tries`)
    await new Promise((resolve) => {
      setTimeout(resolve, RETRY_DELAY_MS)
    })
  }
}
