import type { FetchedBatch } from './fetched.ts'
import type { RecordRef } from './picked-batch.ts'
import type { SourceSplit } from './spi.ts'
import type { SplitAssignment } from './split-assignment.ts'

/** Fetched and not polled, in the order of the fetches; with groups, each split's {@link SplitAssignment.groups} says what may go. */
export class FetchQueue<T, Split extends SourceSplit> {
  readonly #assignments: ReadonlyMap<string, SplitAssignment<T, Split>>
  readonly #grouped: boolean
  #batches: FetchedBatch<T, Split>[] = []

  /** @param assignments - of the reader, as it has them at any time. */
  constructor(assignments: ReadonlyMap<string, SplitAssignment<T, Split>>, grouped: boolean) {
    this.#assignments = assignments
    this.#grouped = grouped
  }

  /** Records that were fetched and not polled. */
  get records(): number {
    let records = 0
    for (const { values } of this.#batches) records += values.length
    for (const { groups } of this.#assignments.values()) records += groups?.records ?? 0
    return records
  }

  get hasNext(): boolean {
    return this.#batches.length > 0 || this.#openGate() !== undefined
  }

  /** All that is here waits for others of its group to be settled. */
  get isHeld(): boolean {
    return this.#grouped && !this.hasNext && this.records > 0
  }

  /** @returns records that must not be emitted, as the order of their group would be broken. */
  add({ groups }: SplitAssignment<T, Split>, batch: FetchedBatch<T, Split>): readonly RecordRef<T, Split>[] {
    if (groups !== undefined) return groups.admit(batch)
    this.#batches.push(batch)
    return []
  }

  next(): FetchedBatch<T, Split> | undefined {
    return this.#batches.shift() ?? this.#openGate()?.take()
  }

  /** Takes what is queued of these splits out, the last first. */
  remove(splitIds: readonly string[]): {
    readonly batches: readonly FetchedBatch<T, Split>[]
    readonly records: readonly RecordRef<T, Split>[]
  } {
    const batches = this.#batches.filter(({ splitId }) => splitIds.includes(splitId)).toReversed()
    this.#batches = this.#batches.filter(({ splitId }) => !splitIds.includes(splitId))
    const records = splitIds.flatMap((splitId) => this.#assignments.get(splitId)?.groups?.clear() ?? [])
    return { batches, records }
  }

  #openGate(): SplitAssignment<T, Split>['groups'] {
    if (!this.#grouped) return undefined
    for (const { groups } of this.#assignments.values()) if (groups?.hasNext === true) return groups
    return undefined
  }
}
