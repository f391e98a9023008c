import { kindOf } from '../errors.ts'
import type { EmitLoop } from '../job/assignments.ts'
import type { Counter } from '../metrics/registry.ts'
import type { Refusal } from '../sink/spi.ts'
import type { RecordBatch, SourceReader, SourceSplit } from '../source/spi.ts'
import type { TrackedBatch } from '../tracker/run.ts'
import type { Tracker } from '../tracker/tracker.ts'

export interface FeedPlan {
  readonly sourceUid: string
  readonly reader: SourceReader<unknown, SourceSplit>
  readonly tracker: Tracker
  readonly recordsEmitted: Counter
  readonly recordErrors: Counter
  splitFinished(splitId: string): void
  refused(refusal: Refusal): Promise<boolean>
  /** There may be more to take. */
  wake(): void
}

/** Records of one split, with tokens from `token` on. */
export interface Run {
  readonly batch: RecordBatch<unknown>
  readonly from: number
  readonly count: number
  readonly token: number
}

interface Current {
  readonly batch: RecordBatch<unknown>
  readonly tracked: TrackedBatch
  emitted: number
  reported: number
}

/**
 * Emits records when they are asked for, and only as many: what was not handed out is not waited for by any checkpoint, and goes
 * back with its split. That is what a job's loop, which emits ahead of its sinks, cannot do.
 */
export class Feed implements EmitLoop {
  readonly #plan: FeedPlan
  #current: Current | undefined
  #asked = false
  #waitsForRoom = false

  constructor(plan: FeedPlan) {
    this.#plan = plan
  }

  /** True when everything was taken and nothing will follow. */
  get ended(): boolean {
    return this.#current === undefined && this.#plan.reader.ended
  }

  /** The next records, at most `max`; undefined when there are none, then {@link FeedPlan.wake} is called when there may be. */
  take(max: number): Run | undefined {
    const { reader } = this.#plan
    for (;;) {
      const batch = this.#current === undefined ? reader.poll() : undefined
      if (batch !== undefined) this.#begin(batch)
      const current = this.#current
      if (current === undefined) break
      if (current.tracked.split.stopped) {
        this.#current = undefined
        continue
      }
      this.#refuseUndecoded(current)
      if (current.emitted < current.batch.values.length) return this.#emit(current, max)
      this.#finish(current)
    }
    if (!reader.ended) this.#ask()
    return undefined
  }

  reportEmitted(): void {
    const current = this.#current
    if (current === undefined || current.reported === current.emitted) return
    current.reported = current.emitted
    this.#plan.reader.emitted(current.batch, current.emitted)
  }

  released(): void {
    this.#plan.wake()
  }

  #begin(batch: RecordBatch<unknown>): void {
    const { tracker, sourceUid, reader } = this.#plan
    const tracked = tracker.track(sourceUid, batch, reader.splitState(batch.splitId))
    this.#current = { batch, tracked, emitted: 0, reported: -1 }
  }

  #emit(current: Current, max: number): Run | undefined {
    const { tracker, recordsEmitted } = this.#plan
    const { batch, tracked, emitted: from } = current
    const { length } = batch.values
    let end = from + 1
    while (end < length && end < from + max && batch.decodeErrors?.has(end) !== true) end++
    const room = tracker.room(tracked, end - from)
    if (room !== undefined) {
      this.#waitFor(room)
      return undefined
    }
    const count = end - from
    const token = tracker.emitRun(tracked, from, count, 1)
    recordsEmitted.value += count
    current.emitted = end
    if (end === length) this.#finish(current)
    return { batch, from, count, token }
  }

  /** In the turn in which the last record is emitted: the end of a split must be announced before a barrier passes. */
  #finish({ batch }: Current): void {
    this.reportEmitted()
    this.#current = undefined
    if (batch.lastOfSplit) this.#plan.splitFinished(batch.splitId)
  }

  #refuseUndecoded(current: Current): void {
    const { tracker, recordErrors, recordsEmitted } = this.#plan
    const { decodeErrors } = current.batch
    while (decodeErrors?.has(current.emitted) === true) {
      const cause = decodeErrors.get(current.emitted)
      const token = tracker.emit(current.tracked, current.emitted++, 1)
      recordsEmitted.value++
      recordErrors.value++
      const reason = { code: 'decodeThrew', message: kindOf(cause), cause }
      void this.#refuse({ token, stage: 'decode', reason, attempts: 0 })
    }
  }

  async #refuse(refusal: Refusal): Promise<void> {
    if (await this.#plan.refused(refusal)) this.#plan.tracker.settle(refusal.token)
    this.#plan.wake()
  }

  /** Once: a caller who is woken by something else would otherwise leave a listener each time. */
  #ask(): void {
    if (this.#asked) return
    this.#asked = true
    void this.#plan.reader.ready().then(() => {
      this.#asked = false
      return this.#plan.wake()
    })
  }

  #waitFor(room: Promise<void>): void {
    if (this.#waitsForRoom) return
    this.#waitsForRoom = true
    void room.then(() => {
      this.#waitsForRoom = false
      return this.#plan.wake()
    })
  }
}
