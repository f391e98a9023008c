import { delay } from '../runtime/clock.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { sumOf } from '../runtime/sum.ts'
import { type SourceFetchResult, traceFetch } from '../runtime/tracing.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { Fetched, FetchedBatch, SplitFetcher } from './fetched.ts'
import type { ReaderContext, SourceSplit } from './spi.ts'
import type { SplitAssignment } from './split-assignment.ts'

export interface FetchLoopPlan<T, Split extends SourceSplit> {
  readonly context: ReaderContext
  readonly budget: ByteBudget
  readonly maxBytesPerFetch: number
  /** Takes over what a fetch brought, and with it its bytes of the budget. */
  fetched(assignment: SplitAssignment<T, Split>, batch: FetchedBatch<T, Split> | undefined, bytes: number): void
  /** A batch that came after the split was stopped. */
  dropped(batch: FetchedBatch<T, Split>): void
}

/**
 * Fetches a split until its last record or until it is stopped, one fetch after the other. For each the most that it can bring is
 * reserved before, and what it did not bring is given back.
 *
 * @throws what the fetcher threw, unless the split was stopped.
 */
export async function runFetchLoop<T, Split extends SourceSplit>(
  assignment: SplitAssignment<T, Split>,
  fetcher: SplitFetcher<T, Split>,
  plan: FetchLoopPlan<T, Split>,
): Promise<void> {
  const { signal, split } = assignment
  const { context, budget, maxBytesPerFetch } = plan
  const message = { source: context.sourceUid, split: split.splitId }
  const fetch = (): Promise<Fetched<T, Split>> => traceFetch(message, () => fetcher.fetch(signal), factsOf)
  try {
    while (!signal.aborted) {
      await assignment.allowed()
      if (!(await budget.acquire(maxBytesPerFetch, signal))) return
      // Stopped or paused while it waited, or just after.
      if (signal.aborted || assignment.isPaused) {
        budget.release(maxBytesPerFetch)
        continue
      }
      const fetched = await fetchOnce(assignment, fetch, plan)
      if (fetched.batch?.lastOfSplit === true) return
      if (fetched.delayMs > 0) await delay(context.clock, fetched.delayMs, signal)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function fetchOnce<T, Split extends SourceSplit>(
  assignment: SplitAssignment<T, Split>,
  fetch: () => Promise<Fetched<T, Split>>,
  plan: FetchLoopPlan<T, Split>,
): Promise<Fetched<T, Split>> {
  const { budget } = plan
  let reserved = plan.maxBytesPerFetch
  assignment.groups?.fetchBegins()
  try {
    failpoint('source:fetching')
    const fetched = await fetch()
    const { batch, millisBehindLatest, pendingRecords, pendingBytes } = fetched
    if (assignment.signal.aborted) {
      if (batch !== undefined) plan.dropped(batch)
      return fetched
    }
    const bytes = batch === undefined ? 0 : sumOf(batch.byteLengths)
    budget.release(reserved - bytes)
    reserved = 0
    // Not the answer itself: it would keep the batch.
    assignment.facts = { millisBehindLatest, pendingRecords, pendingBytes }
    plan.fetched(assignment, batch, bytes)
    return fetched
  } finally {
    budget.release(reserved)
  }
}

/** What the tracing channel tells of a fetch. */
function factsOf({ batch, millisBehindLatest }: Fetched<unknown, SourceSplit>): SourceFetchResult {
  return {
    records: batch?.values.length ?? 0,
    bytes: batch === undefined ? 0 : sumOf(batch.byteLengths),
    ...(millisBehindLatest === undefined ? {} : { millisBehindLatest }),
    lastOfSplit: batch?.lastOfSplit ?? false,
  }
}
