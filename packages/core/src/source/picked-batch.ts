import type { FetchedBatch } from './fetched.ts'
import type { GroupGate } from './group-gate.ts'
import type { RawRecord, SourceSplit } from './spi.ts'

/** A record of a fetched batch. */
export interface RecordRef<T, Split extends SourceSplit> {
  readonly batch: FetchedBatch<T, Split>
  readonly index: number
}

/** Records of one split that were picked out of fetched batches. */
export class PickedBatch<T, Split extends SourceSplit> implements FetchedBatch<T, Split> {
  readonly splitId: string
  readonly values: readonly T[]
  readonly byteLengths: Uint32Array
  readonly eventTimesMs: Float64Array
  readonly decodeErrors: ReadonlyMap<number, unknown>
  readonly receipts: readonly unknown[]
  readonly groups: readonly (string | undefined)[]
  readonly lastOfSplit: boolean
  /** Which gave these records out. */
  readonly gate: GroupGate<T, Split>
  readonly #records: readonly RecordRef<T, Split>[]

  constructor(
    splitId: string,
    records: readonly RecordRef<T, Split>[],
    lastOfSplit: boolean,
    gate: GroupGate<T, Split>,
  ) {
    this.splitId = splitId
    this.lastOfSplit = lastOfSplit
    this.gate = gate
    this.#records = records
    this.values = records.map(({ batch, index }) => batch.values[index] as T)
    this.byteLengths = Uint32Array.from(records, bytesOf)
    this.eventTimesMs = Float64Array.from(records, ({ batch, index }) => batch.eventTimesMs?.[index] ?? Number.NaN)
    this.receipts = records.map(receiptOf)
    this.groups = records.map(({ batch, index }) => batch.groups?.[index])
    const errors = new Map<number, unknown>()
    for (const [at, { batch, index }] of records.entries())
      if (batch.decodeErrors?.has(index) === true) errors.set(at, batch.decodeErrors.get(index))
    this.decodeErrors = errors
  }

  raw(index: number): RawRecord | undefined {
    const record = this.#records[index]
    return record?.batch.raw(record.index)
  }

  splitAfter(index: number): Split {
    const record = this.#records[index]
    if (record === undefined) throw new RangeError(`the batch has no record ${index}`)
    return record.batch.splitAfter(record.index)
  }
}

export function bytesOf<T, Split extends SourceSplit>({ batch, index }: RecordRef<T, Split>): number {
  return batch.byteLengths[index] ?? 0
}

export function receiptOf<T, Split extends SourceSplit>({ batch, index }: RecordRef<T, Split>): unknown {
  return batch.receipts?.[index]
}
