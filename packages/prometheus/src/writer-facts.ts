import { type Reason, SluiceError, type SubmitContext } from '@sluice/core'
import type { WriteVerdict } from './classify.ts'
import type { Held } from './errors-log.ts'
import type { InvalidEntry } from './entry-invalid.ts'
import type { Entry } from './series.ts'

/** So many metrics are named in a line of the log. */
const MAX_NAMES = 5

export function heldBy(entries: readonly Entry[], samples: number = samplesIn(entries)): Held {
  const metrics = new Set<string>()
  for (const { series } of entries) {
    if (metrics.size === MAX_NAMES) break
    metrics.add(cut(series.metricName))
  }
  return { series: entries.length, samples, metrics: [...metrics] }
}

/** What is said of series that break the rules: which rules the first one breaks, without what it holds. */
export function invalidReason(entries: readonly InvalidEntry[]): Reason {
  const rules = entries[0]?.error.problems.map((problem) => problem.split(', got ')[0]) ?? []
  return { code: 'invalidSeries', message: `${rules.join('; ')} (the sink's explain tells more)` }
}

export function heldByInvalid(entries: readonly InvalidEntry[]): Held {
  const metrics = new Set(entries.slice(0, MAX_NAMES).map(({ error }) => cut(error.metricName)))
  return {
    series: entries.length,
    samples: entries.reduce((sum, { samples }) => sum + samples, 0),
    metrics: [...metrics],
  }
}

function samplesIn(entries: readonly Entry[]): number {
  return entries.reduce((sum, { size }) => sum + size, 0)
}

function cut(name: string): string {
  return name.length > MAX_NAME ? `${name.slice(0, MAX_NAME)}...` : name
}

const MAX_NAME = 80

/**
 * Of a request of which the receiver wrote some entries and refused others: those that it may refuse when they are sent again, only
 * because it has them by then. The newest sample of a series is not among them, since it is taken again.
 */
function repeatable(entries: readonly Entry[]): readonly Entry[] {
  const later = new Set<number>()
  return entries.toReversed().filter(({ size, series: { orderKey } }) => {
    const isNewest = !later.has(orderKey)
    later.add(orderKey)
    return size > 1 || !isNewest
  })
}

/** Entries that the receiver may hold although the request failed. */
export function uncertainOf(entries: readonly Entry[], { uncertain, written }: WriteVerdict): readonly Entry[] {
  if (uncertain === true) return entries
  const isPartial = written !== undefined && written.samples + written.histograms > 0
  return isPartial ? repeatable(entries) : []
}

/**
 * Entries that a receiver of 1.0 may hold although it refused the request, and may refuse for that alone when they are sent again. Some
 * write the valid part of a request that they answer with 400; Prometheus rolls all of it back, and nothing in an answer of 1.0 tells
 * which of the two it was.
 */
export function maybeStored(entries: readonly Entry[], { kind, status, written }: WriteVerdict): readonly Entry[] {
  const isPossible = entries.length > 1 && kind === 'refused' && written === undefined && status === 400
  return isPossible ? repeatable(entries) : []
}

/** Says of a refusal that it may be none. */
export function withDoubt(reason: Reason): Reason {
  const doubt = 'it may be stored: the receiver had refused a request with later samples of the series too'
  return { ...reason, message: `${reason.message} (${doubt}, and some write the valid part of such a request)` }
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
