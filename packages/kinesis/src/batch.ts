import type { _Record as KinesisRecord } from '@aws-sdk/client-kinesis'
import { type FetchedBatch, type RawRecord, SluiceError } from '@sluice/core'

import type { KinesisDeserializer } from './options.ts'
import type { KinesisPosition, KinesisSplit } from './split.ts'

export interface BatchContext<T> {
  readonly streamName: string
  /** Undefined: JSON. */
  readonly deserialize: KinesisDeserializer<T> | undefined
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

  /** @param fetchedMs - stands in for an arrival time that the service did not give. */
  constructor(
    context: BatchContext<T>,
    split: KinesisSplit,
    records: readonly KinesisRecord[] | undefined,
    last: boolean,
    fetchedMs: number,
  ) {
    this.splitId = split.splitId
    this.lastOfSplit = last
    this.#split = split
    this.#records = records ?? NO_RECORDS
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

  splitAfter(index: number): KinesisSplit {
    const { splitId, parentShardIds } = this.#split
    return { splitId, parentShardIds, position: this.positionAfter(index) }
  }

  positionAfter(index: number): KinesisPosition {
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
