import type { Counter } from '../metrics/registry.ts'
import { Breather } from '../runtime/breather.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Refusal, SinkWriter, WriteBatch } from '../sink/spi.ts'
import type { RecordBatch, SourceReader, SourceSplit } from '../source/spi.ts'
import type { TrackedBatch } from '../tracker/run.ts'
import type { Tracker } from '../tracker/tracker.ts'
import { OperatorChain, type Step } from './operators.ts'
import { kindOf } from './refusal.ts'

/** Inputs that are emitted at one time at most: a barrier never waits for a whole fetched batch. */
const MAX_INPUTS_PER_CHUNK = 256
/** Operators run no further ahead of the sinks than this. */
const MAX_VALUES_PER_CHUNK = 1024

export interface SubtaskPlan {
  readonly sourceUid: string
  readonly reader: SourceReader<unknown, SourceSplit>
  readonly writers: readonly SinkWriter<unknown>[]
  readonly tracker: Tracker
  readonly steps: readonly Step[]
  readonly clock: Clock
  readonly recordsEmitted: Counter
  readonly recordErrors: Counter
  /** The last record of the split was emitted. */
  splitFinished(splitId: string): void
  refused(refusal: Refusal): Promise<boolean>
  /** Inputs below this token are waited for by an open checkpoint. */
  openBarrier(): number | undefined
}

interface CurrentBatch {
  readonly batch: RecordBatch<unknown>
  readonly tracked: TrackedBatch
  emitted: number
  reported: number
}

/** One fetch loop: takes batches from its reader, runs the operators, and offers the values to every sink. */
export class Subtask {
  readonly #plan: SubtaskPlan
  readonly #chain: OperatorChain
  readonly #breather: Breather
  readonly #values: unknown[] = []
  #tokens = new Float64Array(MAX_VALUES_PER_CHUNK)
  #byteLengths = new Uint32Array(MAX_VALUES_PER_CHUNK)
  /** The batch in hand and how many of its records were emitted; told to the reader at barriers and at the end of the batch. */
  #current: CurrentBatch | undefined
  #lastEventTimeLagMs: number = Number.NaN
  #stopped = false
  #ended = false

  constructor(plan: SubtaskPlan) {
    this.#plan = plan
    this.#chain = new OperatorChain(plan.steps)
    this.#breather = new Breather(plan.clock)
  }

  get lastEventTimeLagMs(): number {
    return this.#lastEventTimeLagMs
  }

  /** Runs until the reader ended or {@link Subtask.stop} was called; what was emitted is then offered to the sinks. */
  async run(): Promise<void> {
    const { reader } = this.#plan
    while (!this.#stopped) {
      const batch = reader.poll()
      if (batch !== undefined) {
        await this.#emit(batch)
        const pause = this.#breather.turn()
        if (pause !== undefined) await pause
      } else if (reader.ended) return
      else {
        const pause = this.#breather.turn()
        if (pause !== undefined) await pause
        await reader.ready()
      }
    }
  }

  /** Emits nothing more; values that were emitted are still written. The reader must be closed to wake the loop. */
  stop(): void {
    this.#stopped = true
    this.#plan.tracker.stopWaiting()
  }

  /** Writes nothing more either. The writers must be closed to wake the loop. */
  end(): void {
    this.#ended = true
    this.stop()
  }

  /** Brings the reader's positions up to what was emitted; a barrier follows in the same turn. */
  reportEmitted(): void {
    const current = this.#current
    if (current === undefined || current.reported === current.emitted) return
    current.reported = current.emitted
    this.#plan.reader.emitted(current.batch, current.emitted)
  }

  async #emit(batch: RecordBatch<unknown>): Promise<void> {
    const { tracker, sourceUid } = this.#plan
    const current = { batch, tracked: tracker.track(sourceUid, batch), emitted: 0, reported: -1 }
    this.#current = current
    const { length } = batch.values
    while (current.emitted < length) {
      for (let room = this.#roomFor(current); room !== undefined; room = this.#roomFor(current)) await room
      if (this.#stopped) break
      this.#prepare(current)
      await this.#write()
      // No pause after the last chunk: the end of a split must be announced before another barrier passes.
      const pause = current.emitted < length ? this.#breather.turn() : undefined
      if (pause !== undefined) await pause
    }
    if (this.#ended) return
    this.reportEmitted()
    this.#current = undefined
    if (batch.lastOfSplit && current.emitted === length) this.#plan.splitFinished(batch.splitId)
  }

  /** Undefined when the next chunk may be emitted in this very turn, or when nothing is to be emitted any more. */
  #roomFor({ tracked }: CurrentBatch): Promise<void> | undefined {
    if (this.#stopped) return undefined
    const { tracker, writers } = this.#plan
    const room = tracker.room(tracked, MAX_INPUTS_PER_CHUNK)
    // Partial batches would hold the room until their age.
    if (room !== undefined) for (const writer of writers) writer.hasten()
    return room
  }

  /** Gives tokens to the next records and runs the operators over them: from here on they are in hand. */
  #prepare(current: CurrentBatch): void {
    const { tracker, writers, clock } = this.#plan
    const { batch, tracked } = current
    const values = this.#values
    values.length = 0
    const first = current.emitted
    const end = Math.min(batch.values.length, first + MAX_INPUTS_PER_CHUNK)
    let index = first
    for (; index < end && values.length < MAX_VALUES_PER_CHUNK; index++) {
      const before = values.length
      const failure = this.#convert(batch, index)
      if (failure !== undefined) {
        this.#refuse(failure, tracker.emit(tracked, index, 1))
        continue
      }
      const produced = values.length - before
      const token = tracker.emit(tracked, index, produced * writers.length)
      if (values.length > this.#tokens.length) this.#growTo(values.length)
      for (let at = before; at < values.length; at++) {
        this.#tokens[at] = token
        this.#byteLengths[at] = at === before ? (batch.byteLengths[index] ?? 0) : 0
      }
    }
    current.emitted = index
    this.#plan.recordsEmitted.value += index - first
    const eventTime = batch.eventTimesMs?.[index - 1]
    if (eventTime !== undefined) this.#lastEventTimeLagMs = clock.wallNow() - eventTime
  }

  /** Appends what the record becomes to the values, or says why it is refused. */
  #convert(batch: RecordBatch<unknown>, index: number): Omit<Refusal, 'token'> | undefined {
    if (batch.decodeErrors?.has(index) === true) {
      const cause = batch.decodeErrors.get(index)
      return { stage: 'decode', reason: { code: 'decodeThrew', message: kindOf(cause), cause }, attempts: 0 }
    }
    try {
      this.#chain.run(batch.values[index], this.#values)
      return undefined
    } catch (error) {
      const message = `${kindOf(error)} in ${this.#chain.stage}`
      return { stage: 'operator', reason: { code: 'operatorThrew', message, cause: error }, attempts: 0 }
    }
  }

  /** The input stays in hand until core has decided about it. */
  #refuse(failure: Omit<Refusal, 'token'>, token: number): void {
    const { tracker } = this.#plan
    this.#plan.recordErrors.value++
    void this.#plan.refused({ ...failure, token }).then((delivered) => {
      if (delivered) tracker.settle(token)
      return delivered
    })
  }

  /** Offers the values to every sink, each with its own cursor: what one took it is not offered again while another is full. */
  async #write(): Promise<void> {
    const { writers } = this.#plan
    const batch: WriteBatch<unknown> = { values: this.#values, tokens: this.#tokens, byteLengths: this.#byteLengths }
    const { length } = this.#values
    const cursors = writers.map(() => 0)
    for (;;) {
      const full: SinkWriter<unknown>[] = []
      for (const [index, writer] of writers.entries()) {
        const cursor = cursors[index] ?? 0
        if (cursor < length) cursors[index] = writer.write(batch, cursor, length)
        if ((cursors[index] ?? 0) < length) full.push(writer)
      }
      if (full.length === 0 || this.#ended) break
      this.#hastenIfAwaited()
      const [only] = full
      await (only !== undefined && full.length === 1
        ? only.ready()
        : Promise.race(full.map((writer) => writer.ready())))
    }
    this.#hastenIfAwaited()
  }

  /**
   * Values that came to a sink after the barrier's hasten, although emitted before it, would wait for their batch's age; so would
   * those that a drain waits for, or a subtask without room.
   */
  #hastenIfAwaited(): void {
    if (this.#values.length === 0) return
    const { tracker } = this.#plan
    const barrier = this.#plan.openBarrier()
    const first = this.#tokens[0] ?? 0
    if (!this.#stopped && tracker.waitsFor === undefined && !(barrier !== undefined && first < barrier)) return
    for (const writer of this.#plan.writers) writer.hasten()
  }

  #growTo(length: number): void {
    const tokens = new Float64Array(length * 2)
    tokens.set(this.#tokens)
    this.#tokens = tokens
    const byteLengths = new Uint32Array(length * 2)
    byteLengths.set(this.#byteLengths)
    this.#byteLengths = byteLengths
  }
}
