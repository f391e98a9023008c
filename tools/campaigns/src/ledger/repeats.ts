import type { LedgerEntry } from '@sluice/core/testing'
import type { Arrival, Coverage, ProducedRecord } from '../campaign.ts'

/** One process of the subject, from its first write to that of the next. */
export interface Life {
  /** `process.hrtime.bigint()` of its first write; undefined when it wrote nothing. */
  readonly firstWriteAtNs: bigint | undefined
  /** The checkpoint that was stored when it ended. */
  readonly coverage: Coverage | undefined
}

export interface Repeats {
  /** By life: records that arrived in it and, without need to read them again before, in a later one. */
  readonly afterLife: readonly number[]
  /** By life: those of them that the checkpoint stored at its end had covered. None may be. */
  readonly coveredAfterLife: readonly number[]
  /** Arrivals within the life of the record's arrival before: no kill explains them. */
  readonly withinLife: number
  /** Those by life. */
  readonly within: readonly number[]
  /** Requests that held at least one repeat. */
  readonly requests: number
}

const identities = new WeakMap<LedgerEntry, string>()

/** Made once for each entry: the services of a campaign answer in the same thread, and must not wait for comparisons. */
export function identityOf(entry: LedgerEntry): string {
  const known = identities.get(entry)
  if (known !== undefined) return known
  const { source, key, sequence, hash } = entry
  const identity = JSON.stringify([source, key, sequence, hash])
  identities.set(entry, identity)
  return identity
}

/**
 * Says for every repeat which end of a process caused it: the end of the last process in which the record had arrived. That
 * process had emitted it, so its figures bound the repeats.
 */
export function attributeRepeats(
  arrivals: readonly Arrival[],
  lives: readonly Life[],
  produced: readonly ProducedRecord[],
): Repeats {
  const positions = new Map(produced.map((record) => [identityOf(record), record.position]))
  const afterLife = lives.map(() => 0)
  const coveredAfterLife = lives.map(() => 0)
  const lastLife = new Map<string, number>()
  const requests = new Set<string>()
  const within = lives.map(() => 0)
  let life = 0
  for (const arrival of arrivals) {
    life = lifeAt(arrival.atNs, lives, life)
    if (arrival.outcome === 'rejected') continue
    const id = identityOf(arrival.entry)
    const before = lastLife.get(id)
    lastLife.set(id, life)
    if (before === undefined) continue
    requests.add(arrival.requestId)
    if (before === life) {
      within[life] = (within[life] ?? 0) + 1
      continue
    }
    afterLife[before] = (afterLife[before] ?? 0) + 1
    const position = positions.get(id)
    if (position !== undefined && lives[before]?.coverage?.covers(position) === true) {
      coveredAfterLife[before] = (coveredAfterLife[before] ?? 0) + 1
    }
  }
  const withinLife = within.reduce((sum, count) => sum + count, 0)
  return { afterLife, coveredAfterLife, withinLife, within, requests: requests.size }
}

/** The last life that had begun to write. */
function lifeAt(atNs: bigint, lives: readonly Life[], from: number): number {
  let life = from
  for (let next = from + 1; next < lives.length; next++) {
    const begun = lives[next]?.firstWriteAtNs
    if (begun !== undefined && begun <= atNs) life = next
  }
  return life
}

/** Produced records that are covered, by a stored checkpoint or by acknowledgement, although the store does not hold them. */
export function coveredButMissing(
  coverage: Coverage,
  produced: readonly ProducedRecord[],
  arrivals: readonly Arrival[],
): number {
  const stored = storedIdentities(arrivals)
  return produced.filter((record) => coverage.covers(record.position) && !stored.has(identityOf(record))).length
}

/** Produced records that the store holds and that will be read again. */
export function storedUncovered(
  coverage: Coverage,
  produced: readonly ProducedRecord[],
  arrivals: readonly Arrival[],
): number {
  const stored = storedIdentities(arrivals)
  return produced.filter((record) => !coverage.covers(record.position) && stored.has(identityOf(record))).length
}

interface Looked {
  count: number
  readonly stored: Set<string>
}

const looked = new WeakMap<readonly Arrival[], Looked>()

/** Of a list that has only grown since it was looked at last, what is new. */
export function storedIdentities(arrivals: readonly Arrival[]): ReadonlySet<string> {
  const known = looked.get(arrivals) ?? { count: 0, stored: new Set<string>() }
  looked.set(arrivals, known)
  for (; known.count < arrivals.length; known.count++) {
    const arrival = arrivals[known.count]
    if (arrival?.outcome === 'stored') known.stored.add(identityOf(arrival.entry))
  }
  return known.stored
}
