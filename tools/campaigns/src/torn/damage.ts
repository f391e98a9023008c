/** One way in which the newest checkpoint is damaged. */
export interface Damage {
  readonly how: 'cut' | 'flipped'
  /** The first byte that is missing, or the one of which a bit is flipped. */
  readonly at: number
  /** From 0 to 7; of a flip. */
  readonly bit: number
}

/** Bytes at the end that hold the position: they are never left out. */
const POSITION_BYTES = 24

/**
 * Cuts and flips at every byte; when that is more than `limit`, spread evenly over the file. A flip changes one of the lower bits,
 * which make another digit of a digit, and so a position that looks as good as the true one.
 */
export function damagePlan(length: number, limit: number, random: () => number): readonly Damage[] {
  const all = Array.from({ length }, (_, at) => at)
  const each = Math.max(1, Math.trunc(limit / 2))
  const step = Math.max(1, length / each)
  const chosen = all.filter(
    (at) => at >= length - POSITION_BYTES || Math.floor(at / step) !== Math.floor((at - 1) / step),
  )
  return chosen.flatMap((at) => [
    { how: 'cut', at, bit: 0 } as const,
    { how: 'flipped', at, bit: Math.trunc(random() * 3) } as const,
  ])
}

export function damaged(whole: Buffer, { how, at, bit }: Damage): Buffer {
  if (how === 'cut') return whole.subarray(0, at)
  const bytes = Buffer.from(whole)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
  return bytes
}
