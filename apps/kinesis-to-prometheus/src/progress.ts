import type { Job } from '@sluice/core'

const INTERVAL_MS = 1_000

/** Shows the state of a run once a second on standard error: one line that changes on a terminal, lines elsewhere. */
export function showProgress(job: Job, records: number, produced: () => number): { stop(): void } {
  const timer = setInterval(() => write(describe(job, records, produced())), INTERVAL_MS)
  return {
    stop: () => {
      clearInterval(timer)
      write(describe(job, records, produced()))
      if (process.stderr.isTTY) process.stderr.write('\n')
    },
  }
}

function describe(job: Job, records: number, produced: number): string {
  const { state, emitted, sinks, readers, checkpoints, repeatIfKilledNow } = job.status()
  const writers = Object.values(sinks)
  const lags = readers.flatMap(({ splits }) => splits.flatMap(({ millisBehindLatest }) => millisBehindLatest ?? []))
  const total = (of: (writer: (typeof writers)[number]) => number): number =>
    writers.reduce((sum, writer) => sum + of(writer), 0)
  return [
    state,
    `produced ${produced}/${records} records`,
    `read ${emitted}`,
    `stored ${total(({ written }) => written)} samples`,
    `lag ${lags.length === 0 ? '-' : `${Math.max(...lags)} ms`}`,
    `in hand ${total(({ inHand }) => inHand)}`,
    `checkpoints ${checkpoints?.completed ?? 0}`,
    `a kill now repeats ${repeatIfKilledNow} records`,
  ].join(' | ')
}

function write(line: string): void {
  if (!process.stderr.isTTY) {
    process.stderr.write(`${line}\n`)
    return
  }
  const width = process.stderr.columns ?? 120
  process.stderr.write(`\r\u001B[K${line.slice(0, width - 1)}`)
}
