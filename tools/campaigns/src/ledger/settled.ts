import { setTimeout as sleep } from 'node:timers/promises'
import type { Arrival, PipelineUnderTest, ProducedRecord } from '../campaign.ts'
import type { SubjectProcess } from '../kill/subject-process.ts'
import { identityOf, storedIdentities } from './repeats.ts'

const DEADLINE_MS = 60_000
const QUIET_MS = 2_000
const LOOK_MS = 50

/**
 * Resolves when every record is stored, or when the subject has nothing left to do although some are not.
 *
 * @returns false when neither happened in time.
 */
export async function settled(
  pipeline: PipelineUnderTest,
  subject: SubjectProcess,
  produced: readonly ProducedRecord[],
  signal: AbortSignal,
  { deadlineMs = DEADLINE_MS, lookMs = LOOK_MS }: { readonly deadlineMs?: number; readonly lookMs?: number } = {},
): Promise<boolean> {
  const deadlineAt = performance.now() + deadlineMs
  let arrived = -1
  let quietSince = performance.now()
  while (performance.now() < deadlineAt) {
    const arrivals = await pipeline.arrivals()
    if (allStored(arrivals, produced)) return true
    const figures = subject.figures()
    const idle = figures !== undefined && figures.unsettled === 0 && figures.completed > 0
    if (arrivals.length !== arrived || !idle) quietSince = performance.now()
    if (performance.now() - quietSince > QUIET_MS) return true
    arrived = arrivals.length
    await sleep(lookMs, undefined, { signal })
    subject.assertNotCrashed()
  }
  return false
}

function allStored(arrivals: readonly Arrival[], produced: readonly ProducedRecord[]): boolean {
  const stored = storedIdentities(arrivals)
  return produced.every((record) => stored.has(identityOf(record)))
}
