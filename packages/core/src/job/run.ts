import { messageOf, SluiceError } from '../errors.ts'
import type { Job } from './job.ts'
import { drainOnSignals } from './signals.ts'

/** What the exit code of a process tells about its job. */
export const EXIT_CODES: Readonly<Record<'nothingLeft' | 'failed' | 'recordsLeft', number>> = {
  /** It ended, and everything that was read is settled and acknowledged. */
  nothingLeft: 0,
  /** It failed: its error is on stderr. */
  failed: 1,
  /** It was closed, at a deadline or by a second signal, or stopped before a restart; what was left is repeated at the next start. */
  recordsLeft: 3,
}

/** Time that a process has to end by itself after its job. */
const LINGER_MS = 5_000

/**
 * The main program of a process that is one job: SIGTERM and SIGINT drain it, a second one closes it, a third ends the process at once.
 * When the job has ended the exit code is set ({@link EXIT_CODES}); a process that something else keeps alive is ended 5 s later, with
 * a line on stderr that says what it was.
 *
 * Draining takes at most the job's `drainDeadlineMs` and closing `restartGraceMs` more: 25 s by default, which fits into the 30 s that
 * Kubernetes gives a container.
 *
 * @returns the exit code, which is also in `process.exitCode`. Never rejects.
 * @example
 * ```ts
 * await runToExit(stream(source).sinkTo(sink).start({ name: 'hosts' }))
 * ```
 */
export async function runToExit(job: Job): Promise<number> {
  let signals = 0
  const onSignal = (_name: string, number: number): void => {
    if (++signals > 2) process.exit(128 + number)
  }
  drainOnSignals(job)
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  const code = await exitCodeOf(job)
  process.off('SIGTERM', onSignal)
  process.off('SIGINT', onSignal)
  process.exitCode = code
  // Unreferenced: a process that nothing keeps alive ends sooner.
  setTimeout(() => {
    const open = [...new Set(process.getActiveResourcesInfo())].join(', ')
    process.stderr.write(`the job has ended, but the process has not: ${open} kept it alive\n`)
    process.exit(code)
  }, LINGER_MS).unref()
  return code
}

async function exitCodeOf(job: Job): Promise<number> {
  const { name } = job.status()
  try {
    const { unsettled } = await job.done
    // What is settled and in no stored checkpoint is repeated too.
    const repeated = Math.max(unsettled, job.status().repeatIfKilledNow)
    if (repeated === 0) return EXIT_CODES.nothingLeft
    process.stderr.write(
      `job '${name}' ended with ${repeated} records that are repeated at the next start, ${unsettled} of them unsettled\n`,
    )
    return EXIT_CODES.recordsLeft
  } catch (error) {
    const code = SluiceError.isInstance(error) ? `${error.code}: ` : ''
    process.stderr.write(`job '${name}' failed: ${code}${messageOf(error)}\n`)
    return EXIT_CODES.failed
  }
}
