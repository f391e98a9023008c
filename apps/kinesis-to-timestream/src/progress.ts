import type { Job, JobStatus } from '@sluice/core'

const INTERVAL_MS = 1_000

/** What a person wants to see while records flow. */
export interface Figures {
  readonly produced: number
  readonly read: number
  readonly stored: number
}

/** Shows the state of a run once a second on standard error: one line that changes on a terminal, lines elsewhere. */
export function showProgress(job: Job, records: number, produced: () => number): { stop(): void } {
  const startedAt = performance.now()
  let before: Figures = { produced: 0, read: 0, stored: 0 }
  let beforeMs = startedAt
  let firstRowShown = false
  const show = (): void => {
    const status = job.status()
    const now = figures(status, produced())
    if (!firstRowShown && now.stored > 0) {
      firstRowShown = true
      write(`first rows stored after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`, true)
    }
    const nowMs = performance.now()
    write(describe(status, now, before, (nowMs - beforeMs) / 1000, records), false)
    before = now
    beforeMs = nowMs
  }
  const timer = setInterval(show, INTERVAL_MS)
  const first = setInterval(() => {
    if (figures(job.status(), 0).stored === 0) return
    clearInterval(first)
    show()
  }, 50)
  return {
    stop: () => {
      clearInterval(timer)
      clearInterval(first)
      show()
      if (process.stderr.isTTY) process.stderr.write('\n')
    },
  }
}

function figures(status: JobStatus, produced: number): Figures {
  const stored = Object.values(status.sinks).reduce((total, sink) => total + sink.written + sink.duplicate, 0)
  return { produced, read: status.emitted, stored }
}

function describe(status: JobStatus, now: Figures, before: Figures, seconds: number, records: number): string {
  const sinks = Object.values(status.sinks)
  const inHand = sinks.reduce((total, sink) => total + sink.inHand, 0)
  const requests = sinks.reduce((total, sink) => total + sink.inFlightRequests, 0)
  const lags = status.readers.flatMap((reader) => reader.splits.flatMap((split) => split.millisBehindLatest ?? []))
  const rate = (name: keyof Figures): string => `${Math.round(Math.max(0, now[name] - before[name]) / seconds)}/s`
  return [
    status.state,
    `produced ${now.produced}/${records} (${rate('produced')})`,
    `read ${now.read} (${rate('read')})`,
    `stored ${now.stored} (${rate('stored')})`,
    `lag ${lags.length === 0 ? '-' : `${Math.max(...lags)} ms`}`,
    `in hand ${inHand}`,
    `in flight ${requests} requests`,
    `checkpoints ${status.checkpoints?.completed ?? 0}`,
    `a kill now repeats ${status.repeatIfKilledNow}`,
  ].join(' | ')
}

function write(line: string, keep: boolean): void {
  if (!process.stderr.isTTY) {
    process.stderr.write(`${line}\n`)
    return
  }
  const width = process.stderr.columns ?? 120
  process.stderr.write(`\r\u001B[K${line.slice(0, width - 1)}${keep ? '\n' : ''}`)
}
