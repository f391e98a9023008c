import type { JobStatus } from '@sluice/core'

/**
 * What a subject says of itself, in a file of fixed size that it overwrites synchronously: a SIGKILL at any moment leaves the
 * figures as they were a moment before. The checker never takes results from here, only what was in hand at a kill.
 */
export interface Figures {
  /** Counts the writes of the file. */
  readonly ordinal: number
  readonly attempt: number
  /** As in `job.status()`. */
  readonly state: JobStatus['state']
  readonly fetched: number
  readonly emitted: number
  readonly unsettled: number
  /** Emitted since the last completed checkpoint: what a kill may repeat. */
  readonly repeatable: number
  readonly buffered: number
  readonly inFlight: number
  /** Checkpoints that this process completed. */
  readonly completed: number
  /** Those of them, at least, that covered records which the one before did not. */
  readonly advanced: number
  /** The newest completed checkpoint of this process; 0 if none. */
  readonly lastCheckpointId: number
  readonly dropped: number
  readonly returned: number
  readonly abandoned: number
  readonly deadLettered: number
  /** The wall clock of the process, milliseconds since the epoch. */
  readonly wallMs: number
  /** The failpoint at which the process killed itself, or asked itself to end, or ''. */
  readonly diedAt: string
}

/** One page: the kernel finishes a write of it even for a process that is being killed. */
export const FIGURES_BYTES = 1024

const BLANK = 0x20

export function encodeFigures(figures: Figures, buffer: Buffer): void {
  buffer.fill(BLANK)
  const { ordinal } = figures
  const text = JSON.stringify({ figures, ordinal })
  if (buffer.write(text) !== text.length) throw new RangeError(`the figures need more than ${buffer.length} bytes`)
}

/** Undefined when the file is empty, or was read while it was being written. */
export function decodeFigures(bytes: Buffer): Figures | undefined {
  try {
    const { figures, ordinal }: { readonly figures: Figures; readonly ordinal: number } = JSON.parse(bytes.toString())
    return figures.ordinal === ordinal ? figures : undefined
  } catch {
    return undefined
  }
}
