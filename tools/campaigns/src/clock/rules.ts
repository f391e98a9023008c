/** What happened after one jump of the wall clock. */
export interface JumpRecord {
  readonly number: number
  readonly bySeconds: number
  /** Whether the process saw another wall clock. */
  readonly landed: boolean
  /** Milliseconds until two more checkpoints had completed; undefined when they had not in time. */
  readonly checkpointsAfterMs: number | undefined
  /** Milliseconds until what was produced right after it was stored; undefined when it was not in time. */
  readonly storedAfterMs: number | undefined
}

/** A job whose durations are monotonic does both within a second; a busy machine takes longer. */
export const MAX_STALL_MS = 8_000

/** Jumps after which something stood still. */
export function stalled(jumps: readonly JumpRecord[]): number {
  return jumps.filter((jump) => jump.checkpointsAfterMs === undefined || jump.storedAfterMs === undefined).length
}

/** Every rule that was broken. */
export function brokenJumpRules(jumps: readonly JumpRecord[]): readonly string[] {
  const broken: string[] = []
  for (const { number, bySeconds, checkpointsAfterMs, storedAfterMs } of jumps) {
    const what = `jump ${number} (by ${bySeconds / 3600} h)`
    if (checkpointsAfterMs === undefined) broken.push(`${what}: no two checkpoints completed within ${MAX_STALL_MS} ms`)
    if (storedAfterMs === undefined)
      broken.push(`${what}: what was produced after it was not stored within ${MAX_STALL_MS} ms`)
  }
  return broken
}
