import { SluiceError, type SubmitContext } from '@sluice/core'
import type { WriteVerdict } from './classify.ts'
import type { Held } from './errors-log.ts'
import type { Entry } from './series.ts'

export function heldBy(entries: readonly Entry[]): Held {
  return { series: entries.length, samples: entries.reduce((sum, { size }) => sum + size, 0) }
}

/** A writer that closes repeats nothing: the next attempt of the job does. */
export function isClosing({ signal }: SubmitContext): boolean {
  const reason: unknown = signal.aborted ? signal.reason : undefined
  return SluiceError.isInstance(reason) && reason.code === 'SLUICE_CLOSED'
}

/** What to turn when this goes on. */
export function optionFor({ kind, status }: WriteVerdict): string {
  if (kind === 'unsigned') return 'requestSigner'
  if (kind === 'unreachable') return 'prometheusRemoteWriteUrl'
  if (kind === 'cut') return 'socketTimeoutMs'
  return status === 429 ? 'maxInFlightRequests' : 'retryConfiguration.maxRetryCount'
}
