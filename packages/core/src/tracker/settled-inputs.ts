import type { SettledRecords } from '../source/spi.ts'
import type { TrackedBatch, TrackedSplit } from './run.ts'

interface Noted {
  readonly token: number
  readonly receipt: unknown
}

/**
 * Inputs that were settled and not yet acknowledged, for sources that acknowledge each by itself. Only their receipts are kept: the
 * batch, with its values and raw bytes, is let go.
 */
export class SettledList {
  #bySplit = new Map<TrackedSplit, Noted[]>()

  /** Of a batch without receipts there is nothing to acknowledge. */
  note({ batch, split }: TrackedBatch, token: number, index: number): void {
    const { receipts } = batch
    if (receipts === undefined || split.gone) return
    const noted = this.#bySplit.get(split)
    const receipt = receipts[index]
    if (noted === undefined) this.#bySplit.set(split, [{ token, receipt }])
    else noted.push({ token, receipt })
  }

  /** Takes those with a token below, of splits that were not given back. */
  take(below: number): SettledRecords[] {
    const taken: SettledRecords[] = []
    const later = new Map<TrackedSplit, Noted[]>()
    for (const [split, noted] of this.#bySplit) {
      if (split.released) {
        later.set(split, noted)
        continue
      }
      const receipts = noted.filter(({ token }) => token < below).map(({ receipt }) => receipt)
      if (receipts.length > 0) taken.push({ splitId: split.splitId, receipts })
      if (receipts.length < noted.length) {
        later.set(
          split,
          noted.filter(({ token }) => token >= below),
        )
      }
    }
    this.#bySplit = later
    return taken
  }

  /** Takes those of one split. */
  takeOf(split: TrackedSplit): readonly unknown[] {
    const noted = this.#bySplit.get(split) ?? []
    this.#bySplit.delete(split)
    return noted.map(({ receipt }) => receipt)
  }
}
