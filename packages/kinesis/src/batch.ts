import type { _Record as KinesisRecord } from '@aws-sdk/client-kinesis'
import { type FetchedBatch, type RawRecord, SluiceError } from '@sluice/core'

import type { KinesisDeserializer } from './options.ts'
import type { KinesisPosition, KinesisSplit } from './split.ts'

export interface BatchContext<T> {
  readonly streamName: string
  /** Undefined: JSON. */
  readonly deserialize: KinesisDeserializer<T> | undefined
}

/** What is known of a GetRecords answer beside its records. */
export interface FetchFacts {
  /** There will be no more of the shard. */
  readonly last: boolean
  /** Stands in for an arrival time that the service did not give; milliseconds since the epoch. */
  readonly fetchedMs: number
  /** At a record that arrived earlier, reading is still catching up. */
  readonly awayFromMs: number
}

const NO_RECORDS: readonly KinesisRecord[] = []
const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The records of one GetRecords answer. */
export class KinesisRecordBatch<T> implements FetchedBatch<T, KinesisSplit> {
  readonly splitId: string
  readonly values: readonly T[]
  readonly byteLengths: Uint32Array
  readonly eventTimesMs: Float64Array
  readonly decodeErrors: ReadonlyMap<number, unknown>
  readonly lastOfSplit: boolean
  readonly #split: KinesisSplit
  readonly #records: readonly KinesisRecord[]
  readonly #awayFromMs: number
  #end: KinesisSplit | undefined

  constructor(
    context: BatchContext<T>,
    split: KinesisSplit,
    records: readonly KinesisRecord[] | undefined,
    { last, fetchedMs, awayFromMs }: FetchFacts,
  ) {
    this.splitId = split.splitId
    this.lastOfSplit = last
    this.#split = split
    this.#records = records ?? NO_RECORDS
    this.#awayFromMs = awayFromMs
    const count = this.#records.length
    const values: T[] = []
    const errors = new Map<number, unknown>()
    this.byteLengths = new Uint32Array(count)
    this.eventTimesMs = new Float64Array(count)
    for (let i = 0; i < count; i++) {
      const record = this.#records[i] as KinesisRecord
      this.byteLengths[i] = (record.Data?.byteLength ?? 0) + Buffer.byteLength(record.PartitionKey ?? '')
      this.eventTimesMs[i] = record.ApproximateArrivalTimestamp?.getTime() ?? fetchedMs
      try {
        values.push(this.#decode(context, record, i))
      } catch (error) {
        errors.set(i, error)
        values.push(undefined as T)
      }
    }
    this.values = values
    this.decodeErrors = errors
  }

  /** After the last record it is one object, however often it is asked for: more may become known of that position later. */
  splitAfter(index: number): KinesisSplit {
    if (index < this.#records.length - 1) return this.#splitAfter(index)
    this.#end ??= this.#splitAfter(index)
    return this.#end
  }

  #splitAfter(index: number): KinesisSplit {
    const { splitId, parentShardIds } = this.#split
    const position = this.positionAfter(index)
    // Nothing lies between a record and the next one.
    const readUpToMs = this.eventTimesMs[index + 1] ?? 0
    return {
      splitId,
      parentShardIds,
      position,
      ...(readUpToMs > position.timestampMs ? { readUpToMs } : {}),
      ...(position.timestampMs < this.#awayFromMs ? { catchingUp: true } : {}),
    }
  }

  positionAfter(index: number): Extract<KinesisPosition, { kind: 'AFTER' }> {
    const sequenceNumber = this.#records[index]?.SequenceNumber
    if (sequenceNumber === undefined) {
      throw new SluiceError('SLUICE_SOURCE_FAILED', `shard ${this.splitId}: a record came without a sequence number`, {
        restartable: true,
      })
    }
    return { kind: 'AFTER', sequenceNumber, subSequenceNumber: 0, timestampMs: this.eventTimesMs[index] ?? 0 }
  }

  raw(index: number): RawRecord | undefined {
    const record = this.#records[index]
    if (record === undefined) return undefined
    const { Data, PartitionKey, SequenceNumber } = record
    const timestampMs = this.eventTimesMs[index]
    return {
      bytes: Data ?? new Uint8Array(0),
      ...(PartitionKey === undefined ? {} : { key: PartitionKey }),
      position: `${SequenceNumber ?? ''}:0`,
      ...(timestampMs === undefined ? {} : { timestampMs }),
    }
  }

  #decode({ streamName, deserialize }: BatchContext<T>, record: KinesisRecord, index: number): T {
    const { Data, PartitionKey, SequenceNumber } = record
    if (Data === undefined) throw new TypeError('the record has no data')
    if (deserialize === undefined) return JSON.parse(utf8.decode(Data)) as T
    return deserialize(Data, {
      streamName,
      shardId: this.splitId,
      sequenceNumber: SequenceNumber ?? '',
      partitionKey: PartitionKey ?? '',
      approximateArrivalMs: this.eventTimesMs[index] ?? 0,
    })
  }
}
