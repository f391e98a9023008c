import type { EmittedHint } from '../checkpoint/storage.ts'

/** What an attempt left behind when it ended. */
export interface Leftover {
  readonly unsettled: number
  readonly unsettledBySplit: Readonly<Record<string, number>>
}

export const NOTHING_LEFT: Leftover = { unsettled: 0, unsettledBySplit: {} }

/** What an attempt that has ended leaves to the next one in the same process, which it is true of until that one runs. */
export interface Handover extends Leftover {
  /** Emitted beyond the newest stored checkpoint. */
  readonly emitted: EmittedHint | undefined
  readonly repeatIfKilledNow: number
  /** When a checkpoint was stored, or else the first attempt began: milliseconds of the job's clock. */
  readonly completedAt: number
}

export function leftoverOf({ unsettled, unsettledBySplit }: Leftover): Leftover {
  return { unsettled, unsettledBySplit }
}
