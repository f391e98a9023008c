import { isDeepStrictEqual } from 'node:util'
import { messageOf, SluiceError } from '../../errors.ts'
import type { Logger } from '../../logger.ts'
import { MetricRegistry } from '../../metrics/registry.ts'
import type {
  EnumeratorContext,
  RecordBatch,
  ReleasedSplit,
  ReleaseHow,
  RestoredSource,
  SettledRecords,
  Source,
  SourceReader,
  SourceSplit,
  SplitEnumerator,
} from '../../source/spi.ts'
import { seededRandom } from '../seeded-random.ts'
import { type Emitted, stateBefore } from './emitted.ts'
import type { Stand } from './stand.ts'

export type Restored = RestoredSource<SourceSplit, unknown>

/** What a checkpoint would hold, and what it covers. */
export interface Snapshot extends Restored {
  readonly id: number
  /** Records of this life that were emitted before it. */
  readonly barrier: number
}

interface Current {
  readonly batch: RecordBatch<unknown>
  readonly before: SourceSplit | undefined
  emitted: number
  reported: number
}

/** One attempt of a job over the source: plays core's part, step by step as a case says. */
export class Life {
  /** In the order of their emission. */
  readonly emitted: Emitted[] = []
  /** Errors that the source ended the attempt with. */
  readonly failures: SluiceError[] = []
  readonly warnings: string[] = []
  readonly metrics: MetricRegistry = new MetricRegistry()
  readonly readers: readonly SourceReader<unknown, SourceSplit>[]
  readonly finished: string[] = []
  /** As they were released last, while nobody has them. */
  readonly released: Map<string, SourceSplit> = new Map()
  /** What the reader said of its last release. */
  lastReleaseAcknowledged: boolean | undefined
  readonly enumerator: SplitEnumerator<unknown>
  readonly #stand: Stand
  readonly #source: Source<unknown, SourceSplit, unknown>
  readonly #abort = new AbortController()
  readonly #current: (Current | undefined)[]
  #pending: { readonly splits: readonly SourceSplit[]; readonly subtask: number }[] | undefined = []
  #noMoreSplits = false
  #checkpointId: number
  #ended = false

  constructor(
    stand: Stand,
    source: Source<unknown, SourceSplit, unknown>,
    parallelism: number,
    restored: Snapshot | undefined,
  ) {
    this.#stand = stand
    this.#source = source
    this.#checkpointId = restored?.id ?? 0
    const warn: Logger['warn'] = (_, message) => void this.warnings.push(message)
    const context = {
      sourceUid: source.uid,
      logger: { debug: () => {}, info: () => {}, warn, error: warn },
      metrics: this.metrics,
      clock: stand.clock,
      random: seededRandom(1),
      signal: this.#abort.signal,
      fail: (error: SluiceError) => void this.failures.push(error),
      requestCheckpoint: () => {},
    }
    const enumeratorContext: EnumeratorContext<SourceSplit> = {
      ...context,
      parallelism,
      assign: (splits, subtask) => {
        if (this.#pending === undefined) this.giveSplits(splits, subtask)
        else this.#pending.push({ splits, subtask })
      },
      release: (splitIds, how, deadlineMs) => this.release(splitIds, how, deadlineMs),
      noMoreSplits: () => {
        this.#noMoreSplits = true
        if (this.#pending === undefined) for (const reader of this.readers) reader.noMoreSplits()
      },
    }
    const isExternal = source.assignment === 'external'
    const state = restored === undefined ? undefined : { ...restored, splits: isExternal ? [] : restored.splits }
    this.enumerator = source.createEnumerator(enumeratorContext, state)
    this.readers = Array.from({ length: parallelism }, (_, subtask) => source.createReader({ ...context, subtask }))
    this.#current = this.readers.map(() => undefined)
  }

  get isEnded(): boolean {
    return this.#ended
  }

  /** Resolves the start positions; an error counts as one of the attempt. */
  async start(): Promise<void> {
    const error = await this.#stand.outcome('the enumerator starts', this.enumerator.start())
    if (error !== undefined) this.failures.push(SluiceError.from(error, 'SLUICE_SOURCE_FAILED', 'start'))
  }

  /** Hands out what was assigned: reading begins. */
  open(): void {
    const pending = this.#pending ?? []
    this.#pending = undefined
    for (const { splits, subtask } of pending) this.giveSplits(splits, subtask)
    if (this.#noMoreSplits) for (const reader of this.readers) reader.noMoreSplits()
  }

  giveSplits(splits: readonly SourceSplit[], subtask = 0): void {
    const reader = this.readers[subtask]
    if (reader === undefined) throw new Error(`a split was assigned to subtask ${subtask}, of ${this.readers.length}`)
    for (const { splitId } of splits) this.released.delete(splitId)
    reader.addSplits(splits)
  }

  /** Emits what there is, at most `limit` records. */
  pump(limit: number = Number.POSITIVE_INFINITY): number {
    const before = this.emitted.length
    for (let progress = true; progress && this.emitted.length - before < limit;) {
      progress = false
      for (const subtask of this.readers.keys()) {
        if (this.emitted.length - before < limit) progress = this.#emitFrom(subtask, limit + before) || progress
      }
    }
    return this.emitted.length - before
  }

  /** Tells the readers what was emitted, as before a barrier. */
  report(): void {
    for (const [subtask, current] of this.#current.entries()) {
      if (current === undefined || current.reported === current.emitted) continue
      current.reported = current.emitted
      this.readers[subtask]?.emitted(current.batch, current.emitted)
    }
  }

  /**
   * The state of all parts at one instant, after its way through JSON.
   *
   * @param limits - of some splits, how far the snapshot goes. @param barrier - what it covers then, in records that were emitted.
   */
  snapshot(limits: readonly SourceSplit[] = [], barrier: number = this.emitted.length): Snapshot {
    this.report()
    const id = ++this.#checkpointId
    if (limits.length > 0) for (const reader of this.readers) reader.limitSnapshot(limits)
    const splits = this.readers.flatMap((reader) => [...reader.snapshotState(id)])
    splits.push(...(this.#pending ?? []).flatMap((each) => each.splits))
    const parts = { stateVersion: this.#source.stateVersion, enumerator: this.enumerator.snapshotState(id), splits }
    const stored = JSON.parse(JSON.stringify(parts)) as Restored
    this.#stand.expect(
      isDeepStrictEqual(stored, parts),
      `a snapshot is not what it was after its way through JSON: ${JSON.stringify(stored)}`,
    )
    this.#stand.book.noteSnapshot(this, id)
    return { id, barrier, ...stored }
  }

  /** Records end: their outcome is there in every sink. */
  settle(records: readonly Emitted[] = this.emitted, how: 'settled' | 'returned' = 'settled'): void {
    for (const record of records) {
      if (record.state !== 'inHand' || record.gone) continue
      record.state = how
      if (this.#source.acknowledgement === 'prefix') continue
      this.#readerOf(record.splitId)?.recordEnded(record.batch, record.index, how)
    }
  }

  /** A checkpoint is stored. @returns the error of the acknowledgement. */
  async complete(snapshot: Snapshot): Promise<unknown> {
    const error = await this.#stand.outcome('an acknowledgement', this.beginComplete(snapshot))
    this.#stand.check()
    return error
  }

  /** As {@link Life.complete}, without time going on. Rejects when the acknowledgement does. */
  async beginComplete(snapshot: Snapshot): Promise<void> {
    const covered = this.emitted.slice(0, snapshot.barrier)
    if (covered.some(({ state, gone }) => state === 'inHand' && !gone)) {
      throw new Error('a case completes a checkpoint that does not cover what it says')
    }
    const settled = covered.filter(isAcknowledgeable)
    this.#stand.book.allowSnapshot(this, snapshot.id)
    this.#stand.book.allow(settled)
    await Promise.all(
      this.readers.map(async (reader) => {
        const own = settled.filter(({ splitId }) => reader.splitState(splitId) !== undefined)
        await reader.acknowledge(snapshot.id, this.#source.acknowledgement === 'prefix' ? [] : receiptsOf(own))
        for (const record of own) record.acknowledged = true
      }),
    )
  }

  /** As core: nothing of the splits is emitted any more, and what is settled is acknowledged unless they are lost. */
  async release(splitIds: readonly string[], how: ReleaseHow, deadlineMs: number): Promise<readonly SourceSplit[]> {
    const unread = (this.#pending ?? [])
      .flatMap(({ splits }) => splits)
      .filter((each) => splitIds.includes(each.splitId))
    this.#pending = this.#pending?.map(({ splits, subtask }) => ({
      splits: splits.filter(({ splitId }) => !splitIds.includes(splitId)),
      subtask,
    }))
    this.report()
    const owned = this.readers.map((reader) => splitIds.filter((id) => reader.splitState(id) !== undefined))
    for (const [subtask, ids] of owned.entries()) {
      if (ids.length === 0) continue
      for (const splitId of ids) {
        const state = this.readers[subtask]?.splitState(splitId)
        if (state !== undefined) this.released.set(splitId, state)
        this.#stand.book.resume(this, splitId)
      }
      this.readers[subtask]?.stopSplits(ids)
      const current = this.#current[subtask]
      if (current !== undefined && ids.includes(current.batch.splitId)) this.#current[subtask] = undefined
    }
    const records = this.emitted.filter(({ splitId, gone }) => owned.flat().includes(splitId) && !gone)
    this.settle(records, how === 'drained' ? 'settled' : 'returned')
    const given: SourceSplit[] = [...unread]
    for (const [subtask, ids] of owned.entries()) {
      const reader = this.readers[subtask]
      if (reader === undefined || ids.length === 0) continue
      const splits = ids.flatMap((splitId) => this.#releasedSplit(reader, splitId, records, how))
      given.push(...splits.map(({ split }) => split))
      const acknowledged = reader.releaseSplits(splits, how, deadlineMs).then((isAcknowledged) => {
        this.lastReleaseAcknowledged = isAcknowledged
        return undefined
      })
      const error = await this.#stand.outcome('a release', acknowledged)
      this.#stand.expect(error === undefined, `releaseSplits rejected: ${messageOf(error)}`)
    }
    for (const record of records) record.gone = true
    for (const split of given) this.released.set(split.splitId, split)
    this.#stand.check()
    return given
  }

  /** Nothing more is to be emitted; what was is told first. */
  stopFetching(): void {
    this.report()
    for (const reader of this.readers) reader.stopFetching()
    this.#current.fill(undefined)
  }

  /** The attempt ends, as after a failure or a close. */
  async close(deadlineMs = 1000): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    this.#abort.abort(new SluiceError('SLUICE_CLOSED', 'the attempt ended', { restartable: true }))
    const closed = Promise.all(this.readers.map((reader) => reader.close(deadlineMs)))
    const error = await this.#stand.outcome('close', closed, deadlineMs + 10)
    this.#stand.expect(error === undefined, `close rejected: ${messageOf(error)}`)
    await this.#stand.outcome('the enumerator ends', Promise.resolve(this.enumerator[Symbol.asyncDispose]()))
  }

  #releasedSplit(
    reader: SourceReader<unknown, SourceSplit>,
    splitId: string,
    records: readonly Emitted[],
    how: ReleaseHow,
  ): ReleasedSplit<SourceSplit>[] {
    const own = records.filter((record) => record.splitId === splitId)
    const first = own.find(({ state }) => state !== 'settled')
    const split = first === undefined ? reader.splitState(splitId) : stateBefore(first)
    if (split === undefined) return []
    const settled = own.filter(isAcknowledgeable)
    if (how !== 'lost') {
      this.#stand.book.allow(settled)
      this.#stand.book.allowPrefix(splitId, first === undefined ? own : own.slice(0, own.indexOf(first)))
    }
    const receipts = this.#source.acknowledgement === 'prefix' ? [] : settled.map(({ receipt }) => receipt)
    return [{ split, receipts }]
  }

  /** Emits the next record of a reader; false if it has none. */
  #emitFrom(subtask: number, upTo: number): boolean {
    const reader = this.readers[subtask]
    if (reader === undefined) return false
    const current = this.#current[subtask] ?? this.#poll(reader)
    if (current === undefined) return false
    this.#current[subtask] = current
    const { batch } = current
    while (current.emitted < batch.values.length && this.emitted.length < upTo) {
      const record = this.#stand.book.recordOf(batch, current.emitted++, current.before)
      this.#stand.expect(
        !this.released.has(batch.splitId),
        `${record.id} was emitted after its split '${batch.splitId}' was released`,
      )
      this.emitted.push(record)
      this.#stand.book.noteEmission(this, record)
    }
    if (current.emitted < batch.values.length) return true
    this.report()
    if (current.reported < current.emitted || batch.values.length === 0) reader.emitted(batch, current.emitted)
    this.#current[subtask] = undefined
    if (!batch.lastOfSplit) return true
    this.finished.push(batch.splitId)
    this.enumerator.splitFinished(batch.splitId, subtask)
    return true
  }

  #poll(reader: SourceReader<unknown, SourceSplit>): Current | undefined {
    const batch = reader.poll()
    if (batch === undefined) return undefined
    this.#stand.expect(!this.#ended, 'a batch was polled after the reader was closed')
    return { batch, before: reader.splitState(batch.splitId), emitted: 0, reported: 0 }
  }

  #readerOf(splitId: string): SourceReader<unknown, SourceSplit> | undefined {
    return this.readers.find((reader) => reader.splitState(splitId) !== undefined)
  }
}

function isAcknowledgeable({ state, acknowledged, gone }: Emitted): boolean {
  return state === 'settled' && !acknowledged && !gone
}

function receiptsOf(records: readonly Emitted[]): SettledRecords[] {
  const bySplit = new Map<string, unknown[]>()
  for (const { splitId, receipt } of records) {
    const receipts = bySplit.get(splitId)
    if (receipts === undefined) bySplit.set(splitId, [receipt])
    else receipts.push(receipt)
  }
  return [...bySplit].map(([splitId, receipts]) => ({ splitId, receipts }))
}
