import type { GeneratedRecord, Position, ProducedRecord } from '../campaign.ts'
import type { FetchRequest } from './protocol.ts'

/** Splits that are read in order; each keeps all of its records. */
export class MemoryLog {
  readonly splits: ReadonlyMap<string, GeneratedRecord[]>

  constructor(splits: number) {
    this.splits = new Map(Array.from({ length: splits }, (_, index) => [`split-${index}`, []]))
  }

  /** Records of one key go to one split. */
  produce(records: readonly GeneratedRecord[]): readonly ProducedRecord[] {
    const ids = [...this.splits.keys()]
    return records.map((record) => {
      const splitId = ids[Number(record.key.replace(/\D/g, '')) % ids.length] ?? ''
      const log = this.splits.get(splitId) ?? []
      log.push(record)
      return producedRecord(record, { splitId, sequenceNumber: String(log.length - 1) })
    })
  }

  fetch({ splitId, from, max }: FetchRequest): readonly GeneratedRecord[] {
    return this.splits.get(splitId)?.slice(from, from + max) ?? []
  }
}

export function producedRecord(record: GeneratedRecord, position: Position): ProducedRecord {
  const { source, key, sequence, hash } = record
  return { source, key, sequence, hash, position }
}
