import type { FetchedBatch } from './fetched.ts'
import { PickedBatch, type RecordRef } from './picked-batch.ts'
import type { SourceSplit } from './spi.ts'

/** A group of which a record was given back: what a fetch brings that may have been answered before that is out of order. */
interface ReturnedGroup {
  /** Position of the record that has to come first. */
  readonly position: string | undefined
  /** Fetches from this number on began when the service had the record back. */
  trustedFrom: number
}

/**
 * Keeps the order of groups (SQS FIFO): of each group at most one record is given out and has not ended; those behind it wait
 * here, in their order, and records without a group pass. When a record is given back to the service, so are those that wait
 * behind it, and those that fetches under way bring: the service delivers them again, in their order.
 *
 * One for each assignment of a split. What waits here is bounded by the byte budget of the reader.
 */
export class GroupGate<T, Split extends SourceSplit> {
  /** May be given out now, in the order in which they came free. */
  #free: RecordRef<T, Split>[] = []
  /** Groups of which a record is free or given out, and what waits behind it. */
  readonly #waiting = new Map<string, RecordRef<T, Split>[]>()
  readonly #returned = new Map<string, ReturnedGroup>()
  /** The batch that said to be the last, until that was passed on. */
  #last: FetchedBatch<T, Split> | undefined
  #records = 0
  #fetches = 0

  /** Records that are here. */
  get records(): number {
    return this.#records
  }

  /** True when {@link GroupGate.take} gives a batch. */
  get hasNext(): boolean {
    return this.#free.length > 0 || (this.#last !== undefined && this.#records === 0)
  }

  /** A fetch begins, and the one before it has ended. */
  fetchBegins(): void {
    this.#fetches++
    // Whatever was answered before the service had the records back has arrived.
    for (const [group, { trustedFrom }] of this.#returned)
      if (trustedFrom <= this.#fetches) this.#returned.delete(group)
  }

  /** Takes what a fetch brought. @returns records that have to go back, the last of each group first. */
  admit(batch: FetchedBatch<T, Split>): readonly RecordRef<T, Split>[] {
    const back: RecordRef<T, Split>[] = []
    for (let index = 0; index < batch.values.length; index++) {
      const record = { batch, index }
      const group = batch.groups?.[index]
      if (group !== undefined && this.#isOutOfOrder(group, record)) back.push(record)
      else this.#admitRecord(group, record)
    }
    if (batch.lastOfSplit) this.#last = batch
    return back.toReversed()
  }

  /** All that may be given out now, as one batch. */
  take(): FetchedBatch<T, Split> | undefined {
    if (!this.hasNext) return undefined
    const records = this.#free
    this.#free = []
    this.#records -= records.length
    const [first] = records
    const { splitId } = (first?.batch ?? this.#last) as FetchedBatch<T, Split>
    const lastOfSplit = this.#last !== undefined && this.#records === 0
    if (lastOfSplit) this.#last = undefined
    return new PickedBatch(splitId, records, lastOfSplit, this)
  }

  /** The record of the group that was given out is settled: the next may go. */
  settled(group: string): void {
    const next = this.#waiting.get(group)?.shift()
    if (next === undefined) this.#waiting.delete(group)
    else this.#free.push(next)
  }

  /**
   * The record of the group that was given out goes back to the service.
   *
   * @param position - of that record.
   * @returns those behind it, which have to go back before it, the last first.
   */
  hold(group: string, position: string | undefined): readonly RecordRef<T, Split>[] {
    const behind = this.#waiting.get(group) ?? []
    this.#waiting.delete(group)
    this.#records -= behind.length
    this.#returned.set(group, { position, trustedFrom: Number.POSITIVE_INFINITY })
    return behind.toReversed()
  }

  /** The service has the records of the group back, or never gets them back from here: from the next fetch on its order holds. */
  release(group: string): void {
    const returned = this.#returned.get(group)
    if (returned !== undefined) returned.trustedFrom = this.#fetches + 1
  }

  /** Nothing more is given out. @returns what was here, the last of each group first. */
  clear(): readonly RecordRef<T, Split>[] {
    const behind = [...this.#waiting.values()].flatMap((records) => records.toReversed())
    const left = [...behind, ...this.#free.toReversed()]
    this.#waiting.clear()
    this.#free = []
    this.#records = 0
    this.#last = undefined
    return left
  }

  #isOutOfOrder(group: string, { batch, index }: RecordRef<T, Split>): boolean {
    const returned = this.#returned.get(group)
    if (returned === undefined) return false
    if (returned.position === undefined || batch.raw(index)?.position !== returned.position) return true
    this.#returned.delete(group)
    return false
  }

  #admitRecord(group: string | undefined, record: RecordRef<T, Split>): void {
    this.#records++
    const waiting = group === undefined ? undefined : this.#waiting.get(group)
    if (waiting !== undefined) {
      waiting.push(record)
      return
    }
    if (group !== undefined) this.#waiting.set(group, [])
    this.#free.push(record)
  }
}
