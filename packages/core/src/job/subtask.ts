import { kindOf, SluiceError } from '../errors.ts'
import type { LazyGauge } from '../metrics/lazy-gauge.ts'
import type { Counter } from '../metrics/registry.ts'
import { Breather } from '../runtime/breather.ts'
import { failpoint } from '../runtime/failpoints.ts'
import type { Clock } from '../runtime/clock.ts'
import { WakeUp } from '../runtime/signal.ts'
import type { Refusal, SinkWriter } from '../sink/spi.ts'
import type { RecordBatch, SourceReader, SourceSplit } from '../source/spi.ts'
import type { TrackedBatch } from '../tracker/run.ts'
import type { Tracker } from '../tracker/tracker.ts'
import { AsyncTail } from './async-tail.ts'
import type { CallSlots } from './call-slots.ts'
import { Chunk } from './chunk.ts'
import { OperatorChain, poisonReason, type Poison } from './operator-chain.ts'
import { isKeyed, type Step, type SyncStep } from './operators.ts'
import type { RateGate } from './rate-gate.ts'
import { SinkOutput } from './sink-output.ts'

/** Inputs that are emitted at one time at most: a barrier never waits for a whole fetched batch. */
const MAX_INPUTS_PER_CHUNK = 256

export interface SubtaskPlan {
  readonly sourceUid: string
  readonly reader: SourceReader<unknown, SourceSplit>
  readonly writers: readonly SinkWriter<unknown>[]
  readonly tracker: Tracker
  readonly steps: readonly Step[]
  /** For each asynchronous step, shared by all subtasks. */
  readonly slots: ReadonlyMap<Step, CallSlots>
  readonly clock: Clock
  readonly recordsEmitted: Counter
  readonly recordErrors: Counter
  /** Wall clock at emission minus the event time of the record emitted last. */
  readonly emitLag: LazyGauge
  /** Shared by all subtasks. */
  readonly rateGate?: RateGate | undefined
  /** The last record of the split was emitted, and all of them were offered to the sinks. */
  splitFinished(splitId: string): void
  refused(refusal: Refusal): Promise<boolean>
  /** Ends the attempt. */
  fail(error: SluiceError): void
  /** Inputs below this token are waited for by an open checkpoint. */
  openBarrier(): number | undefined
}

interface CurrentBatch {
  readonly batch: RecordBatch<unknown>
  readonly tracked: TrackedBatch
  emitted: number
  reported: number
}

/**
 * One fetch loop: takes batches from its reader, runs the operators, and offers the values to every sink. What comes after a
 * `mapAsync` runs beside the loop.
 */
export class Subtask {
  readonly #plan: SubtaskPlan
  readonly #chain: OperatorChain
  readonly #chunk: Chunk
  readonly #output: SinkOutput
  readonly #tail: AsyncTail | undefined
  /** Entries that a value of the chunk becomes: one for each sink, or one while it goes through the tail. */
  readonly #references: number
  readonly #breather: Breather
  /** The batch in hand and how many of its records were emitted; told to the reader at barriers and at the end of the batch. */
  #current: CurrentBatch | undefined
  readonly #resumed = new WakeUp()
  /** Records that may be emitted in this turn. */
  #permits = 0
  #paused = false
  #stopped = false
  #ended = false

  constructor(plan: SubtaskPlan) {
    this.#plan = plan
    const { steps, writers, clock } = plan
    const found = steps.findIndex(({ kind }) => kind === 'mapAsync')
    const split = found === -1 ? steps.length : found
    const head = steps.slice(0, split) as readonly SyncStep[]
    this.#chunk = new Chunk(isKeyed(head))
    this.#chain = new OperatorChain(head, this.#chunk, MAX_INPUTS_PER_CHUNK)
    const { reader } = plan
    this.#output = new SinkOutput({
      ...plan,
      openBarrier: () => (reader.waitsForSettled === true ? Number.POSITIVE_INFINITY : plan.openBarrier()),
    })
    this.#tail = found === -1 ? undefined : this.#tailOf(steps.slice(split), isKeyed(head))
    this.#references = this.#tail === undefined ? writers.length : 1
    this.#breather = new Breather(clock)
  }

  /** The oldest call of a `mapAsync` under way: how long, and of which step. */
  get oldestCall(): { readonly ageMs: number; readonly reason: string } | undefined {
    const oldest = this.#tail?.oldestCall
    if (oldest === undefined) return undefined
    return {
      ageMs: this.#plan.clock.now() - oldest.startedAt,
      reason: `${oldest.stage}: waiting for the end of its call`,
    }
  }

  /** Runs until the reader ended or {@link Subtask.stop} was called; what was emitted is then offered to the sinks. */
  async run(): Promise<void> {
    const tail = this.#tail
    if (tail === undefined) return this.#read()
    await Promise.all([this.#read().then(() => tail.close()), tail.run()])
  }

  /** Emits nothing more; values that were emitted are still written. The reader must be closed to wake the loop. */
  stop(): void {
    this.#stopped = true
    this.#reportLast()
    this.#output.drain()
    this.#plan.tracker.stopWaiting()
    this.#plan.rateGate?.leave(this)
    this.#wake()
  }

  /** Emits nothing until {@link Subtask.resume}; values that were emitted go on. */
  pause(): void {
    this.#paused = true
    this.#plan.rateGate?.leave(this)
  }

  resume(): void {
    this.#paused = false
    this.#resumed.wake()
  }

  /** Writes nothing more either. The writers must be closed to wake the loop. */
  end(): void {
    this.#ended = true
    this.#output.end()
    this.#tail?.end(new SluiceError('SLUICE_CLOSED', 'the attempt ended', { restartable: true }))
    this.stop()
  }

  /** Splits were given back: what waits for a sink or a call is not handed on. */
  released(): void {
    this.#tail?.released()
    this.#output.released()
    this.#wake()
  }

  /** Brings the reader's positions up to what was emitted; a barrier follows in the same turn. */
  reportEmitted(): void {
    const current = this.#current
    if (current === undefined || current.reported === current.emitted) return
    current.reported = current.emitted
    this.#plan.reader.emitted(current.batch, current.emitted)
  }

  /** Nothing more is emitted: the reader may give the rest of its batch back. */
  #reportLast(): void {
    try {
      this.reportEmitted()
    } catch (error) {
      this.#plan.fail(SluiceError.from(error, 'SLUICE_SOURCE_FAILED', this.#plan.sourceUid))
    }
  }

  #hasten(): void {
    for (const writer of this.#plan.writers) writer.hasten()
  }

  /** Whoever waits to emit looks again whether it is still to be. */
  #wake(): void {
    this.#resumed.wake()
    this.#plan.rateGate?.wake()
  }

  #tailOf(steps: readonly Step[], keyed: boolean): AsyncTail {
    const { clock, tracker, writers, slots } = this.#plan
    return new AsyncTail(steps, keyed, {
      clock,
      tracker,
      output: this.#output,
      references: writers.length,
      slots,
      splitFinished: (splitId) => this.#plan.splitFinished(splitId),
      refused: (poison, token, value) => this.#refuse(poison, token, value),
      fail: (error) => this.#plan.fail(error),
    })
  }

  async #read(): Promise<void> {
    const { reader } = this.#plan
    while (!this.#stopped) {
      const batch = reader.poll()
      if (batch !== undefined) {
        failpoint('job:polled')
        await this.#emit(batch)
        const pause = this.#breather.turn()
        if (pause !== undefined) await pause
      } else if (reader.ended) return
      else {
        const pause = this.#breather.turn()
        if (pause !== undefined) await pause
        // The age of a partial batch would else be the pace of a group.
        if (reader.waitsForSettled === true) this.#hasten()
        await reader.ready()
      }
    }
  }

  async #emit(batch: RecordBatch<unknown>): Promise<void> {
    const { tracker, sourceUid, reader } = this.#plan
    const current = {
      batch,
      tracked: tracker.track(sourceUid, batch, reader.splitState(batch.splitId)),
      emitted: 0,
      reported: -1,
    }
    this.#current = current
    const { length } = batch.values
    while (current.emitted < length) {
      for (let room = this.#roomFor(current); room !== undefined; room = this.#roomFor(current)) await room
      if (this.#stopped || current.tracked.split.stopped) break
      const first = tracker.next
      this.#prepare(current)
      failpoint('job:emitted')
      const offered =
        this.#tail === undefined ? this.#output.offer(this.#chunk, first) : this.#tail.offer(this.#chunk, batch.splitId)
      if (offered !== undefined) await offered
      failpoint('job:offered')
      // No pause after the last chunk: the end of a split must be announced before another barrier passes.
      const pause = current.emitted < length ? this.#breather.turn() : undefined
      if (pause !== undefined) await pause
    }
    if (this.#ended) return
    this.reportEmitted()
    this.#current = undefined
    if (!batch.lastOfSplit || current.emitted < length || current.tracked.split.stopped) return
    if (this.#tail === undefined) this.#plan.splitFinished(batch.splitId)
    else this.#tail.finish(batch.splitId)
  }

  /** Undefined when the next chunk may be emitted in this very turn, or when nothing is to be emitted any more. */
  #roomFor({ tracked, batch, emitted }: CurrentBatch): Promise<void> | undefined {
    const { tracker, rateGate } = this.#plan
    if (this.#stopped || tracked.split.stopped) {
      rateGate?.leave(this)
      return undefined
    }
    if (this.#paused) return this.#resumed.wait()
    const room = tracker.room(tracked, MAX_INPUTS_PER_CHUNK)
    if (room !== undefined) {
      // Nobody waits for permits behind one that waits for room.
      rateGate?.leave(this)
      // Partial batches would hold the room until their age.
      this.#hasten()
      return room
    }
    const wanted = Math.min(MAX_INPUTS_PER_CHUNK, batch.values.length - emitted)
    this.#permits = rateGate === undefined ? wanted : rateGate.take(this, wanted)
    return this.#permits > 0 ? undefined : rateGate?.again()
  }

  /** Runs the operators over the next records and gives them tokens: from here on they are in hand. */
  #prepare(current: CurrentBatch): void {
    const chunk = this.#chunk
    const { batch } = current
    const { values, eventTimesMs, decodeErrors } = batch
    const errors = decodeErrors !== undefined && decodeErrors.size > 0 ? decodeErrors : undefined
    const first = current.emitted
    const end = first + this.#permits
    chunk.length = 0
    let index = first
    for (let full = false; index < end && !full;) {
      const to = errors === undefined ? end : nextError(errors, index, end)
      const before = chunk.length
      const stopped = this.#chain.run(values, index, to)
      this.#emitRecords(current, index, stopped, before)
      index = stopped
      const poison = this.#chain.poison
      if (poison !== undefined) this.#refuse(poison, this.#plan.tracker.emit(current.tracked, index++, 1))
      else if (index < to) full = true
      else if (index < end)
        this.#refuseUndecoded(errors?.get(index), this.#plan.tracker.emit(current.tracked, index++, 1))
    }
    current.emitted = index
    if (index < end) this.#plan.rateGate?.giveBack(end - index)
    this.#plan.recordsEmitted.value += index - first
    const eventTime = eventTimesMs?.[index - 1]
    if (eventTime !== undefined) this.#plan.emitLag.set(this.#plan.clock.wallNow() - eventTime)
  }

  /** Gives tokens to records of which the chain has just made the values from `before` on. */
  #emitRecords({ batch, tracked }: CurrentBatch, from: number, to: number, before: number): void {
    if (from === to) return
    const { tracker } = this.#plan
    const chunk = this.#chunk
    const { counts, oneToOne } = this.#chain
    chunk.fit()
    if (oneToOne) {
      const token = tracker.emitRun(tracked, from, to - from, this.#references)
      chunk.describeEach(before, token, batch.byteLengths, from, to)
      return
    }
    let at = before
    for (let index = from; index < to;) {
      const count = counts[index - from] as number
      const runFrom = index
      do index++
      while (index < to && counts[index - from] === count)
      let token = tracker.emitRun(tracked, runFrom, index - runFrom, count * this.#references)
      for (let record = runFrom; record < index; record++, token++, at += count) {
        chunk.describe(at, count, token, batch.byteLengths[record] ?? 0)
      }
    }
  }

  #refuseUndecoded(cause: unknown, token: number): void {
    this.#refused({
      stage: 'decode',
      reason: { code: 'decodeThrew', message: kindOf(cause), cause },
      token,
      attempts: 0,
    })
  }

  #refuse(poison: Poison, token: number, value?: unknown): void {
    const refusal = { stage: 'operator', reason: poisonReason(poison), token, attempts: 0 } as const
    this.#refused(value === undefined ? refusal : { ...refusal, value })
  }

  /** The input stays in hand until core has decided about it. */
  #refused(refusal: Refusal): void {
    const { tracker, recordErrors } = this.#plan
    recordErrors.value++
    void this.#plan.refused(refusal).then((delivered) => {
      if (delivered) tracker.settle(refusal.token)
      return delivered
    })
  }
}

function nextError(errors: ReadonlyMap<number, unknown>, from: number, to: number): number {
  let index = from
  while (index < to && !errors.has(index)) index++
  return index
}
