import type { Coverage } from '../campaign.ts'
import type { Figures } from '../figures.ts'
import type { Kind } from './plan.ts'
import { MAX_ENDING_MS, type Struck } from './strike.ts'

/** One process that was asked to end. */
export interface SignalRecord extends Struck {
  readonly number: number
  readonly kind: Kind
  readonly code: number | null
  readonly endedBy: NodeJS.Signals | null
  readonly figures: Figures | undefined
  readonly firstWriteAtNs: bigint | undefined
  readonly coverage: Coverage
  /** Records that are covered and not stored, of all processes up to this one. */
  readonly coveredButMissing: number
  /** Records that this process stored and that will be read again. */
  readonly storedUncovered: number
}

const NOTHING_LEFT = 0
const RECORDS_LEFT = 3

/** Whether the process had all the time that it needed, and nothing else went wrong in it. */
export function graceSuffices({ kind, figures }: SignalRecord): boolean {
  return kind !== 'short' && kind !== 'second' && kind !== 'restart' && (figures?.attempt ?? 1) <= 1
}

/** Node itself ends a process that has no handler yet. */
function endedBeforeJob({ kind, endedBy, figures }: SignalRecord): boolean {
  return kind === 'start' && endedBy === 'SIGTERM' && (figures?.emitted ?? 0) === 0
}

/**
 * Every rule that was broken.
 *
 * @param repeatsAfter - by process, records that a later one repeated.
 */
export function brokenSignalRules(
  signals: readonly SignalRecord[],
  repeatsAfter: readonly number[],
  repeatsWithin: readonly number[],
): readonly string[] {
  const broken: string[] = []
  let known = 0
  for (const [index, each] of signals.entries()) {
    const { number, kind, code, endedBy, tookMs, storedUncovered, coveredButMissing } = each
    const what = `signal ${number} (${kind})`
    if (tookMs > MAX_ENDING_MS) broken.push(`${what}: the process took ${Math.round(tookMs)} ms to end`)
    if (code === NOTHING_LEFT && storedUncovered > 0)
      broken.push(`${what}: exit code 0, and ${storedUncovered} stored records will be read again`)
    if (graceSuffices(each) && !endedBeforeJob(each)) {
      if (code !== NOTHING_LEFT)
        broken.push(`${what}: the grace sufficed, and it ended with ${endedBy ?? `code ${code}`}`)
      const repeats = repeatsAfter[index] ?? 0
      if (repeats > 0) broken.push(`${what}: the grace sufficed, and ${repeats} records were repeated`)
      if ((repeatsWithin[index] ?? 0) > 0) broken.push(`${what}: ${repeatsWithin[index]} repeats before it`)
    }
    if ((kind === 'short' || kind === 'second') && code !== RECORDS_LEFT)
      broken.push(
        `${what}: records were left, and it ended with ${endedBy ?? `code ${code}`}, not with ${RECORDS_LEFT}`,
      )
    if (coveredButMissing > known)
      broken.push(`${what}: ${coveredButMissing} records were covered or acknowledged that the store did not hold`)
    known = Math.max(known, coveredButMissing)
  }
  const inHand = signals.filter(({ kind, unsettled }) => kind !== 'start' && unsettled > 0).length
  const later = signals.filter(({ kind }) => kind !== 'start').length
  if (inHand < later / 2) broken.push(`only ${inHand} of ${later} signals found records in hand; at least half must`)
  return broken
}
