import type { Size } from '../campaign.ts'
import { shuffled } from '../ledger/shuffled.ts'

const HOUR_S = 3_600
const DAY_S = 24 * HOUR_S
/** By how far the wall clock jumps, in seconds. */
const JUMPS_S = [HOUR_S, -HOUR_S, DAY_S, -DAY_S] as const
const MIN_RECORDS_PER_JUMP = 20

/** Why a size cannot prove anything. */
export function jumpProblems({ faults, records }: Size): readonly string[] {
  const problems: string[] = []
  if (faults < JUMPS_S.length) {
    problems.push(`--faults must be at least ${JUMPS_S.length}, so that every jump comes, got ${faults}`)
  }
  if (records < faults * MIN_RECORDS_PER_JUMP) {
    problems.push(
      `--records must be at least ${MIN_RECORDS_PER_JUMP} for each jump, that is ${faults * MIN_RECORDS_PER_JUMP} for ${faults}, got ${records}`,
    )
  }
  return problems
}

/** Every jump as often as the others, shuffled: each by itself, so that they add up. */
export function jumpPlan(jumps: number, random: () => number): readonly number[] {
  return shuffled(
    Array.from({ length: jumps }, (_, index) => JUMPS_S[index % JUMPS_S.length] ?? HOUR_S),
    random,
  )
}
