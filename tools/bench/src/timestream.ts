import type { BenchOptions } from './core.ts'
import type { Row } from './measure.ts'
import { byteRows } from './timestream/bytes.ts'
import { latencyRows } from './timestream/latency.ts'
import { MEASURES } from './timestream/shapes.ts'
import { throughputRows } from './timestream/throughput.ts'

export const TIMESTREAM_PARTS: readonly string[] = [
  ...MEASURES.map((measures) => `measures-${measures}`),
  'bytes',
  'latency',
]

export async function timestreamWrite(options: BenchOptions): Promise<readonly Row[]> {
  const { only } = options
  const rows: Row[] = []
  for (const measures of MEASURES) {
    if (only === undefined || only === `measures-${measures}`) rows.push(...(await throughputRows(measures, options)))
  }
  if (only === undefined || only === 'bytes') rows.push(...(await byteRows(options)))
  if (only === undefined || only === 'latency') rows.push(...(await latencyRows(options)))
  return rows
}
