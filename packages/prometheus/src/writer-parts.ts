import type { Reason } from '@sluice/core'
import type { WriteVerdict } from './classify.ts'

/** Samples `from` (inclusive) to `to` (exclusive) of one entry. */
export interface Part {
  readonly from: number
  readonly to: number
}

/** What has become of the parts of one entry, and which are to be sent, the next one last. */
export interface PartsProgress {
  readonly pending: Part[]
  written: number
  refused: number
  /** Why the receiver refused the part that it refused last. */
  reason: Reason
}

/** An entry that was refused as a whole: both halves are to be sent. */
export function halvedEntry(samples: number, reason: Reason): PartsProgress {
  const progress: PartsProgress = { pending: [], written: 0, refused: 0, reason }
  pushHalves(progress, { from: 0, to: samples })
  return progress
}

/**
 * Sends what is left of an entry, part after part in the order of its samples, and halves what is refused: a sample is given up only
 * when it was refused alone, and no later one is sent before it.
 *
 * @param goOn - asked before each request; false leaves the rest for another time.
 * @returns what ended it before its end: a verdict that is about no sample, or `'later'`.
 */
export async function sendParts(
  progress: PartsProgress,
  send: (part: Part) => Promise<WriteVerdict>,
  goOn: () => boolean,
): Promise<WriteVerdict | 'later' | undefined> {
  const { pending } = progress
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (!goOn()) {
      pending.push(part)
      return 'later'
    }
    const verdict = await send(part)
    const count = part.to - part.from
    if (verdict.kind === 'written') progress.written += count
    else if (verdict.kind === 'refused' || verdict.kind === 'tooLarge') {
      progress.reason = verdict.reason
      if (count === 1) progress.refused++
      else pushHalves(progress, part)
    } else {
      pending.push(part)
      return verdict
    }
  }
  return undefined
}

function pushHalves({ pending }: PartsProgress, { from, to }: Part): void {
  const middle = from + Math.ceil((to - from) / 2)
  pending.push({ from: middle, to }, { from, to: middle })
}
