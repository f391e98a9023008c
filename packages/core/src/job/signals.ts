import type { Job } from './job.ts'

/**
 * SIGTERM and SIGINT drain the job; a second one closes it. The job's end removes the handlers.
 *
 * @returns a function that removes the handlers sooner.
 * @example
 * ```ts
 * drainOnSignals(job)
 * const end = await job.done
 * process.exitCode = end.unsettled === 0 ? 0 : 1
 * ```
 */
export function drainOnSignals(job: Job): () => void {
  let asked = false
  const onSignal = (): void => {
    void (asked ? job.close() : job.drain()).catch(() => undefined)
    asked = true
  }
  const remove = (): void => {
    process.off('SIGTERM', onSignal)
    process.off('SIGINT', onSignal)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  job.done.then(remove, remove)
  return remove
}
