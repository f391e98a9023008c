import type { Acknowledgement, Arrival, ProducedRecord } from '../campaign.ts'
import { identityOf } from './repeats.ts'

/** Records that were acknowledged before the write that it answers for, or without one. Both journals share one clock. */
export function acknowledgedEarly(
  acknowledgements: readonly Acknowledgement[],
  arrivals: readonly Arrival[],
  produced: readonly ProducedRecord[],
): number {
  const writtenAt = new Map<string, bigint>()
  for (const { entry, outcome, atNs } of arrivals) {
    const id = identityOf(entry)
    if (outcome === 'stored' && !writtenAt.has(id)) writtenAt.set(id, atNs)
  }
  const identities = new Map(produced.map((record) => [placeOf(record), identityOf(record)]))
  return acknowledgements.filter((acknowledgement) => {
    const identity = identities.get(placeOf(acknowledgement))
    const written = identity === undefined ? undefined : writtenAt.get(identity)
    return written === undefined || written > acknowledgement.atNs
  }).length
}

function placeOf({ position }: Pick<Acknowledgement, 'position'>): string {
  return `${position.splitId} ${position.sequenceNumber}`
}
