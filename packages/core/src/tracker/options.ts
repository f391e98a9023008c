import type { RecordBatch } from '../source/spi.ts'
import type { TrackedSplit } from './run.ts'

export interface TrackerOptions {
  /** Raw bytes of the batches that have unsettled inputs. A single batch may be larger. @default no limit */
  readonly maxRetainedBytes?: number
  /** `individual` keeps a list of settled inputs for {@link Tracker.takeSettled}. @default 'prefix' */
  readonly acknowledgement?: 'prefix' | 'individual'
  /** Called for each input that ended, with `individual`. It must not throw. */
  readonly onEnded?: (batch: RecordBatch<unknown>, index: number, how: 'settled' | 'returned') => void
  /** Called for each call after {@link Tracker.end}. */
  readonly onLateCall?: () => void
}

/** A split that was given back. */
export interface SplitRelease {
  readonly split: TrackedSplit
  /** Inputs of it that were in hand. */
  readonly unsettled: number
}
