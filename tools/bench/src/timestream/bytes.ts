import type { BenchOptions } from '../core.ts'
import type { Quartiles, Row } from '../measure.ts'
import { rounded } from '../prometheus/rounded.ts'
import { Decoder } from './decoder.ts'
import { askReceived, type Received } from './received.ts'
import { startNullServer } from './server.ts'
import { BATCH, encodeBatches, MEASURES, type Measures, type Order } from './shapes.ts'
import { DIRECT, STOCK, type VariantName } from './task.ts'
import { senderOf } from './variants.ts'

const REQUESTS = 50
const RECORDS = REQUESTS * BATCH
const IN_FLIGHT = 10

/** What is sent, and what the service bills for it: with the common attributes that the sink finds, and without. */
export async function byteRows({ progress }: BenchOptions): Promise<readonly Row[]> {
  await using server = await startNullServer()
  const rows: Row[] = []
  for (const measures of MEASURES) {
    for (const order of ['mixed', 'by region'] as const) {
      const [ours, plain] = [
        await sent(DIRECT, measures, order, server.url),
        await sent(STOCK, measures, order, server.url),
      ]
      if (ours.content !== plain.content) throw new Error(`not the same records: ${ours.content}, ${plain.content}`)
      const name = `${measures} measures, series ${order}`
      rows.push(
        row(`bytes of bodies: ${name}`, 'bytes per record, less is better', ours.bytes, plain.bytes),
        row(
          `writes of 1 KiB that are billed: ${name}`,
          'writes per record, less is better',
          ours.billedUnits,
          plain.billedUnits,
        ),
      )
      progress(`bytes: ${name}`)
    }
  }
  return rows
}

async function sent(variant: VariantName, measures: Measures, order: Order, url: string): Promise<Received> {
  const sender = senderOf(variant, { measures, inFlight: IN_FLIGHT, url }, new Decoder().decode)
  await sender.prepare(encodeBatches(measures, 0, REQUESTS, order))()
  await sender.close()
  return askReceived(url)
}

function row(name: string, unit: string, ours: number, plain: number): Row {
  return {
    bench: 'timestream-write',
    case: name,
    ours: perRecord(ours),
    peer: perRecord(plain),
    peerName: 'without common attributes',
    unit,
    ratio: rounded(plain / ours),
  }
}

/** The same in each round: there is one. */
function perRecord(total: number): Quartiles {
  const each = Math.round((total / RECORDS) * 1000) / 1000
  return { median: each, lower: each, upper: each }
}
