import type { BenchOptions } from './core.ts'
import type { Row } from './measure.ts'
import { throughputRows } from './timestream/throughput.ts'

export const TIMESTREAM_PARTS: readonly string[] = ['throughput']

export async function timestreamWrite(options: BenchOptions): Promise<readonly Row[]> {
  const { only } = options
  const rows: Row[] = []
  if (only === undefined || only === 'throughput') rows.push(...(await throughputRows(options)))
  return rows
}
