import type { RecordBatch, SourceSplit } from '../../source/spi.ts'

/** A record that was emitted, as core has it in hand. */
export interface Emitted {
  readonly id: string
  readonly splitId: string
  readonly batch: RecordBatch<unknown>
  readonly index: number
  /** The split's state before its batch. */
  readonly before: SourceSplit | undefined
  readonly receipt: unknown
  readonly group: string | undefined
  readonly undecodable: boolean
  state: 'inHand' | 'settled' | 'returned'
  /** Its receipt was handed over, and that did not fail. */
  acknowledged: boolean
  /** Its split was released: it is nobody's any more. */
  gone: boolean
}

/** The split's state before a record was emitted. */
export function stateBefore({ batch, index, before }: Emitted): SourceSplit | undefined {
  return index > 0 ? batch.splitAfter(index - 1) : before
}

/** What a case says of records, in the order of their emission. */
export function idsOf(records: readonly Emitted[]): readonly string[] {
  return records.map(({ id }) => id)
}
