import { monitorEventLoopDelay } from 'node:perf_hooks'
import { memoryCheckpoints, stream, toFunction } from '@sluice/core'
import type { Row } from '../measure.ts'
import { quantile } from '../measure.ts'
import { arraySource } from './array-source.ts'
import { BATCH, encodeReadings, IN_FLIGHT, NullStore, type Reading } from './readings.ts'
import { startSluice } from './throughput.ts'

const RUN_MS = 10_000
const FETCH_DELAY_MS = 5
const RECORDS_PER_FETCH = 100
const ANSWER_MS = 300
const SAMPLE_MS = 1

/**
 * How long a record waits from being fetched to being taken by the sink's writer, while a checkpoint is open and while none is: at a
 * fraction of the possible rate, with a store that answers slowly, so that each checkpoint stays open.
 */
export async function writeDelays(progress: (line: string) => void): Promise<readonly Row[]> {
  const delays = { open: [] as number[], closed: [] as number[] }
  let isOpen = false
  const startedAt = performance.now()
  const source = arraySource<{ fetchedAt: number }>({
    fetch: () => {
      const now = performance.now()
      if (now - startedAt > RUN_MS) return []
      return Array.from({ length: RECORDS_PER_FETCH }, () => ({ fetchedAt: now }))
    },
    recordsPerFetch: RECORDS_PER_FETCH,
    bytesPerRecord: 60,
    delayMs: FETCH_DELAY_MS,
  })
  const sink = toFunction<number>(
    () =>
      new Promise<void>((resolve) => {
        setTimeout(resolve, ANSWER_MS)
      }),
    { maxBatchSize: BATCH, maxInFlightRequests: 2 * IN_FLIGHT, maxBufferedRequests: 20_000 },
  )
  const job = stream(source)
    .map(({ fetchedAt }) => {
      const delay = performance.now() - fetchedAt
      delays[isOpen ? 'open' : 'closed'].push(delay)
      return delay
    })
    .sinkTo(sink)
    .start({ name: 'delays', checkpoints: { intervalMs: 1_000, storage: memoryCheckpoints() } })
  const look = setInterval(() => {
    isOpen = job.status().checkpoints?.open !== undefined
  }, 10)
  await job.done
  clearInterval(look)
  progress(`write delays: ${delays.open.length} records while a checkpoint was open, ${delays.closed.length} else`)
  if (delays.open.length < 1000) throw new Error(`only ${delays.open.length} records met an open checkpoint`)
  return [
    row('write delay p99, while a checkpoint is open', quantile(delays.open, 0.99)),
    row('write delay p99, while none is open', quantile(delays.closed, 0.99)),
  ]
}

/** How late timers are while the engine runs as fast as it can. */
export async function eventLoopDelay(records: number, progress: (line: string) => void): Promise<readonly Row[]> {
  const readings = JSON.parse(encodeReadings(records).toString()) as readonly Reading[]
  const histogram = monitorEventLoopDelay({ resolution: SAMPLE_MS })
  const until = performance.now() + RUN_MS / 2
  let rounds = 0
  while (performance.now() < until) {
    const store = new NullStore()
    const job = startSluice(readings, store, true)
    histogram.enable()
    await job.done
    histogram.disable()
    rounds++
  }
  progress(`event loop delay: ${histogram.count} samples in ${rounds} runs, max ${round(histogram.max / 1e6)} ms`)
  // Node.js records the time between two samples, so the interval is part of each.
  return [row('event loop delay p99 at full speed', histogram.percentile(99) / 1e6 - SAMPLE_MS)]
}

function row(name: string, milliseconds: number): Row {
  return {
    bench: 'core',
    case: name,
    ours: round(milliseconds),
    peer: null,
    peerName: null,
    unit: 'milliseconds',
    ratio: null,
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
