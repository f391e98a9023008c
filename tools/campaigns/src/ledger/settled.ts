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
 * @returns false when neither happened, and nothing new was stored for the deadline.
 */
export async function settled(
  pipeline: PipelineUnderTest,
  subject: SubjectProcess,
  produced: readonly ProducedRecord[],
  signal: AbortSignal,
  { deadlineMs = DEADLINE_MS, lookMs = LOOK_MS }: { readonly deadlineMs?: number; readonly lookMs?: number } = {},
): Promise<boolean> {
  let deadlineAt = performance.now() + deadlineMs
  let arrived = -1
  let stored = 0
  // Those before it are stored.
  let missing = 0
  let quietSince = performance.now()
  while (performance.now() < deadlineAt) {
    const arrivals = await pipeline.arrivals()
    missing = firstMissing(arrivals, produced, missing)
    if (missing === produced.length) return true
    const { size } = storedIdentities(arrivals)
    if (size > stored) deadlineAt = performance.now() + deadlineMs
    stored = size
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

/** @param from - those before it are known to be stored. */
function firstMissing(arrivals: readonly Arrival[], produced: readonly ProducedRecord[], from: number): number {
  const stored = storedIdentities(arrivals)
  for (let index = from; index < produced.length; index++) {
    const record = produced[index]
    if (record !== undefined && !stored.has(identityOf(record))) return index
  }
  return produced.length
}
