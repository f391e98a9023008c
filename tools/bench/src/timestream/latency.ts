import { setTimeout as pause } from 'node:timers/promises'
import type { BenchOptions } from '../core.ts'
import { quantile, type Row } from '../measure.ts'
import { rounded } from '../prometheus/rounded.ts'
import { Decoder } from './decoder.ts'
import { startNullServer } from './server.ts'
import { BATCH, encodeBatches, type Measures } from './shapes.ts'
import { sluice, startJob } from './sluice.ts'

const LOAD = 0.1
const RUN_MS = 5_000
const IN_FLIGHT = 10
/** Batches. */
const CALIBRATION: Readonly<Record<5 | 20, number>> = { 5: 1000, 20: 400 }

/** How long records take from being written to the sink's job to being confirmed, at a tenth of the rate that is possible. */
export async function latencyRows({ progress }: BenchOptions): Promise<readonly Row[]> {
  await using server = await startNullServer()
  const rows: Row[] = []
  for (const measures of [5, 20] as const) {
    const perMs = (await capacity(measures, server.url)) * LOAD
    const delays = await delaysAt(measures, server.url, perMs)
    const name = `write to confirmed, ${measures} measures, ${IN_FLIGHT} in flight, ${Math.round(perMs * 1000)} records per second (10 % load)`
    progress(`${name}: ${delays.length} records`)
    for (const [label, share] of [
      ['p50', 0.5],
      ['p99', 0.99],
    ] as const) {
      rows.push({
        bench: 'timestream-write',
        case: `${label} ${name}`,
        ours: rounded(quantile(delays, share)),
        peer: null,
        peerName: null,
        unit: 'milliseconds',
        ratio: null,
      })
    }
  }
  return rows
}

/** Records per millisecond. */
async function capacity(measures: 5 | 20, url: string): Promise<number> {
  const sender = sluice('direct', { measures, inFlight: IN_FLIGHT, url }, new Decoder().decode)
  const batches = encodeBatches(measures, 0, CALIBRATION[measures], 'mixed')
  await sender.prepare(batches)()
  const work = sender.prepare(batches)
  const start = performance.now()
  await work()
  const perMs = (batches.length * BATCH) / (performance.now() - start)
  await sender.close()
  return perMs
}

async function delaysAt(measures: Measures, url: string, perMs: number): Promise<number[]> {
  const count = Math.ceil((perMs * RUN_MS) / BATCH) * BATCH
  const rows = decoded(measures, count)
  const writtenAt = new Float64Array(count)
  const confirmedAt = new Map<number, number>()
  const dueAt = (ms: number): number => Math.min(count, Math.floor(ms * perMs))
  const start = performance.now()
  const job = startJob(
    'direct',
    { measures, inFlight: IN_FLIGHT, url },
    {
      fetch: async (first) => {
        if (first === count) return []
        let due = dueAt(performance.now() - start)
        while (due === first) {
          await pause(1)
          due = dueAt(performance.now() - start)
        }
        writtenAt.fill(performance.now(), first, due)
        return rows.slice(first, due)
      },
      onSettled: (tokens, settled) => {
        const now = performance.now()
        for (let at = 0; at < settled; at++) confirmedAt.set(tokens[at] as number, now)
      },
    },
  )
  await job.done
  if (confirmedAt.size !== count) throw new Error(`${confirmedAt.size} of ${count} records were confirmed`)
  // Tokens are given in the order of the records.
  return [...confirmedAt.keys()]
    .toSorted((a, b) => a - b)
    .map((token, at) => (confirmedAt.get(token) ?? Number.NaN) - (writtenAt[at] ?? Number.NaN))
}

function decoded(measures: Measures, count: number): readonly never[] {
  const { decode } = new Decoder()
  return encodeBatches(measures, 0, count / BATCH, 'mixed').flatMap((batch) => decode(batch))
}
