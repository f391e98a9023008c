import type { Arrival, PipelineUnderTest } from '../campaign.ts'
import { identityOf } from './repeats.ts'

/**
 * The journal as far as the store confirms it: what it took and does not give back is not stored, and what it gives back and never took
 * is an arrival too, that nobody can account for. What it rejected it need not give back.
 */
export async function confirmedArrivals(pipeline: PipelineUnderTest): Promise<readonly Arrival[]> {
  const arrivals = await pipeline.arrivals()
  if (pipeline.readBack === undefined) return arrivals
  const found = await pipeline.readBack()
  const held = new Set(found.map(identityOf))
  const taken = new Set(arrivals.map(({ entry }) => identityOf(entry)))
  const last = arrivals.at(-1)?.atNs ?? 0n
  return [
    ...arrivals.filter(({ entry, outcome }) => outcome === 'rejected' || held.has(identityOf(entry))),
    ...found
      .filter((entry) => !taken.has(identityOf(entry)))
      .map((entry): Arrival => ({ entry, outcome: 'stored', conflict: false, requestId: 'read back', atNs: last })),
  ]
}
