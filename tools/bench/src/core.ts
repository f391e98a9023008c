import { eventLoopDelay, writeDelays } from './core/delays.ts'
import { slowSink } from './core/slow-sink.ts'
import { KEYED, type Start, throughputVariants, UNKEYED } from './core/throughput.ts'
import { interleave, type Quartiles, quartiles, type Row } from './measure.ts'

export interface BenchOptions {
  readonly rounds: number
  readonly records: number
  /** One of {@link CORE_PARTS}; undefined runs all. */
  readonly only: string | undefined
  readonly progress: (line: string) => void
}

export const CORE_PARTS: readonly string[] = ['throughput', 'cold', 'delays', 'slow-sink']

export async function core(options: BenchOptions): Promise<readonly Row[]> {
  const { only, records, progress } = options
  const rows: Row[] = []
  if (only === undefined || only === 'throughput') rows.push(...(await throughput(options, 'warm')))
  if (only === undefined || only === 'cold') rows.push(...(await throughput(options, 'cold')))
  if (only === undefined || only === 'delays') {
    rows.push(...(await writeDelays(progress)), ...(await eventLoopDelay(records, progress)))
  }
  if (only === undefined || only === 'slow-sink') rows.push(...(await slowSink(progress)))
  return rows
}

async function throughput({ rounds, records, progress }: BenchOptions, start: Start): Promise<readonly Row[]> {
  const results = await interleave(throughputVariants(records, start), rounds, progress)
  const speeds = new Map(
    [...results].map(([name, list]) => [
      name,
      rounded(quartiles(list.map(({ cpuSeconds }) => records / cpuSeconds / 1e6))),
    ]),
  )
  const rows: Row[] = []
  for (const ours of [KEYED, UNKEYED]) {
    const speed = speeds.get(ours)
    if (speed === undefined) continue
    for (const [peerName, peer] of speeds) {
      if (peerName === KEYED || peerName === UNKEYED) continue
      rows.push({
        bench: 'core',
        case: `${ours}: ${records} records, batches of 100, 50 in flight, ${start}`,
        ours: speed,
        peer,
        peerName,
        unit: 'million records per CPU-second',
        ratio: round(speed.median / peer.median),
      })
    }
  }
  return rows
}

function rounded({ median, lower, upper }: Quartiles): Quartiles {
  return { median: round(median), lower: round(lower), upper: round(upper) }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
