import type { Parcel } from './parcel.ts'

interface Waiting<Entry> {
  readonly dueAt: number
  /** Breaks ties: first in, first out. */
  readonly order: number
  readonly parcel: Parcel<Entry>
}

/** Parcels that wait to be sent again, by due time: a binary heap, so that one with a long delay blocks nobody. */
export class DueQueue<Entry> {
  readonly #heap: Waiting<Entry>[] = []
  #order = 0
  #entries = 0

  /** Entries in all waiting parcels. */
  get entries(): number {
    return this.#entries
  }

  /** When the next parcel is due; undefined if none waits. */
  get nextDueAt(): number | undefined {
    return this.#heap[0]?.dueAt
  }

  push(parcel: Parcel<Entry>, dueAt: number): void {
    this.#entries += parcel.length
    const heap = this.#heap
    heap.push({ dueAt, order: this.#order++, parcel })
    let child = heap.length - 1
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (!before(heap[child], heap[parent])) return
      swap(heap, child, parent)
      child = parent
    }
  }

  /** Takes the parcel at the head if it is due and accepted. */
  popDue(now: number, accept: (parcel: Parcel<Entry>) => boolean = () => true): Parcel<Entry> | undefined {
    const heap = this.#heap
    const head = heap[0]
    if (head === undefined || head.dueAt > now || !accept(head.parcel)) return undefined
    const last = heap.pop()
    this.#entries -= head.parcel.length
    if (last !== undefined && heap.length > 0) {
      heap[0] = last
      this.#sink()
    }
    return head.parcel
  }

  /** Every waiting parcel, in no order. */
  *parcels(): Generator<Parcel<Entry>> {
    for (const waiting of this.#heap) yield waiting.parcel
  }

  /** Puts another parcel, or none, in the place of each. */
  replaceEach(replacement: (parcel: Parcel<Entry>) => Parcel<Entry> | undefined): void {
    const waiting = this.#heap.splice(0)
    this.#entries = 0
    for (const { parcel, dueAt } of waiting.sort((a, b) => a.order - b.order)) {
      const kept = replacement(parcel)
      if (kept !== undefined) this.push(kept, dueAt)
    }
  }

  clear(): void {
    this.#heap.length = 0
    this.#entries = 0
  }

  #sink(): void {
    const heap = this.#heap
    let parent = 0
    for (;;) {
      let least = parent
      for (const child of [2 * parent + 1, 2 * parent + 2]) {
        if (child < heap.length && before(heap[child], heap[least])) least = child
      }
      if (least === parent) return
      swap(heap, least, parent)
      parent = least
    }
  }
}

function before<Entry>(a: Waiting<Entry> | undefined, b: Waiting<Entry> | undefined): boolean {
  if (a === undefined || b === undefined) return false
  return a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.order < b.order)
}

function swap(list: unknown[], a: number, b: number): void {
  const held = list[a]
  list[a] = list[b]
  list[b] = held
}
