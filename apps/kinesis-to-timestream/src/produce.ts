import { type KinesisClient, PutRecordsCommand } from '@aws-sdk/client-kinesis'
import type { LedgerEntry } from '@sluice/core/testing'
import { collidesAt, hostRecord, RECORDS_PER_SECOND_OF_EVENT_TIME } from './records.ts'

const RECORDS_PER_REQUEST = 100
const RETRY_DELAY_MS = 200
const MAX_TRIES = 50

export interface Production {
  readonly client: KinesisClient
  readonly stream: string
  /** Names this run in the ledger. */
  readonly run: string
  readonly records: number
  readonly collisions: number
  readonly signal: AbortSignal
  /** Called after each request with what the stream has confirmed. */
  onConfirmed(entries: readonly LedgerEntry[]): void
}

interface Item {
  readonly entry: LedgerEntry
  readonly data: Uint8Array
}

/** Puts the records into the stream, in order, and repeats those that the service does not take. Ends early on abort. */
export async function produce(production: Production): Promise<void> {
  const { records, collisions, run, signal } = production
  const encoder = new TextEncoder()
  // The last record's time is now: all lie in the memory store's window.
  const firstSecond = Math.floor(Date.now() / 1000) - Math.ceil(records / RECORDS_PER_SECOND_OF_EVENT_TIME)
  for (let sequence = 0; sequence < records && !signal.aborted;) {
    const items: Item[] = []
    while (items.length < RECORDS_PER_REQUEST && sequence < records) {
      const record = hostRecord(run, sequence, firstSecond, collidesAt(sequence, records, collisions))
      sequence++
      items.push({ entry: record.ledger, data: encoder.encode(JSON.stringify(record)) })
    }
    await put(production, items)
  }
}

async function put(production: Production, items: readonly Item[]): Promise<void> {
  const { client, stream, signal } = production
  let waiting = items
  for (let attempt = 1; waiting.length > 0 && !signal.aborted; attempt++) {
    const answer = await client.send(
      new PutRecordsCommand({
        StreamName: stream,
        Records: waiting.map(({ entry, data }) => ({ Data: data, PartitionKey: entry.key })),
      }),
    )
    const refused = waiting.filter((_, index) => answer.Records?.[index]?.ErrorCode !== undefined)
    production.onConfirmed(waiting.filter((item) => !refused.includes(item)).map(({ entry }) => entry))
    waiting = refused
    if (waiting.length === 0) return
    if (attempt === MAX_TRIES)
      throw new Error(`the stream ${stream} took ${waiting.length} records in none of ${MAX_TRIES} tries`)
    await new Promise((resolve) => {
      setTimeout(resolve, RETRY_DELAY_MS)
    })
  }
}
