import { appendFileSync, readdirSync } from 'node:fs'
import { VITALS_VARIABLE } from './settings.ts'

/** What a process holds, after a collection. */
export interface Vitals {
  /** Monotonic, milliseconds since the process began. */
  readonly atMs: number
  readonly heapBytes: number
  readonly residentBytes: number
  /** Timers, sockets and requests that keep an event loop alive. */
  readonly resources: number
  readonly openFiles: number
}

const INTERVAL_MS = 1_000

/** Notes what the process holds, one line a second, if a campaign asks for it. It needs `--expose-gc`. */
export function noteVitals(): void {
  const path = process.env[VITALS_VARIABLE]
  if (path === undefined) return
  const collect = globalThis.gc
  if (collect === undefined) throw new Error('a subject that notes its vitals needs --expose-gc')
  setInterval(() => {
    collect()
    const { heapUsed, rss } = process.memoryUsage()
    const vitals: Vitals = {
      atMs: performance.now(),
      heapBytes: heapUsed,
      residentBytes: rss,
      resources: process.getActiveResourcesInfo().length,
      openFiles: readdirSync('/proc/self/fd').length,
    }
    appendFileSync(path, `${JSON.stringify(vitals)}\n`)
  }, INTERVAL_MS).unref()
}
