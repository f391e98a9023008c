import type { RecordBatch, SettledRecords, SourceSplit } from '../source/spi.ts'
import { Barriers } from './barriers.ts'
import { Releases } from './releases.ts'
import { type Bound, Room } from './room.ts'
import { sumOf } from '../runtime/sum.ts'
import {
  fillRing,
  indexOf,
  ordinalOf,
  type Origin,
  type Run,
  RunTable,
  settledTooOften,
  type TrackedBatch,
  type TrackedSplit,
} from './run.ts'
import { SettledList } from './settled-inputs.ts'
import type { SplitRelease, TrackerOptions } from './options.ts'
import { type Place, placeOf, SplitTable, stateBefore } from './splits.ts'

const INITIAL_CAPACITY = 1024

/**
 * The one place that decides when an input is settled. Every input gets a token when it is emitted: a dense integer with a
 * reference count of the entries that it became in all sinks. The watermark is the lowest token that is neither settled nor
 * returned, so "nothing emitted before a barrier is unsettled" is one comparison.
 *
 * An input of which one entry was given back ends as returned: nobody waits for it, and nobody acknowledges it.
 *
 * It also bounds what unsettled inputs cost: the raw bytes of their batches, and the number of inputs above the watermark.
 *
 * A tracker belongs to one attempt of a job. After {@link Tracker.end} every call is counted and ignored: a late answer of an
 * ended attempt can never settle an input of the next.
 */
export class Tracker {
  /** The splits that are assigned. */
  readonly splits: SplitTable = new SplitTable()
  // By token, modulo the capacity: unsettled entries, and the slot of the token's run.
  #counts = new Int32Array(INITIAL_CAPACITY)
  #slots = new Int32Array(INITIAL_CAPACITY)
  #mask = INITIAL_CAPACITY - 1
  #next = 0
  #watermark = 0
  #unsettled = 0
  #returnedInputs = 0
  #ended = false
  readonly #room: Room
  readonly #onLateCall: () => void
  readonly #runs = new RunTable()
  /** Inputs in hand of which an entry was given back. */
  readonly #returned = new Set<number>()
  readonly #releases = new Releases()
  /** Only for individual acknowledgement. */
  readonly #settled: SettledList | undefined
  readonly #onEnded: TrackerOptions['onEnded']
  readonly #barriers = new Barriers()

  constructor(options: TrackerOptions = {}) {
    this.#room = new Room(options.maxRetainedBytes ?? Number.POSITIVE_INFINITY)
    this.#onLateCall = options.onLateCall ?? (() => {})
    this.#onEnded = options.onEnded
    this.#settled = options.acknowledgement === 'individual' ? new SettledList() : undefined
  }

  /** The token that the next input gets: a barrier taken now lies before it. */
  get next(): number {
    return this.#next
  }

  /** All tokens below are settled or returned. */
  get watermark(): number {
    return this.#watermark
  }

  /** Inputs emitted that are neither settled nor returned. */
  get unsettled(): number {
    return this.#unsettled
  }

  /** Inputs that were given back to their source. */
  get returnedInputs(): number {
    return this.#returnedInputs
  }

  /** Raw bytes of the batches that have unsettled inputs. */
  get retainedBytes(): number {
    return this.#room.retainedBytes
  }

  /** The bound that a batch waits for, as a name for people; undefined when none waits. */
  get waitsFor(): Bound | undefined {
    return this.#room.waitsFor
  }

  /**
   * Makes a fetched batch known, before its inputs are emitted.
   *
   * @param before - the split's state before its first record.
   */
  track(source: string, batch: RecordBatch<unknown>, before?: SourceSplit): TrackedBatch {
    const bytes = sumOf(batch.byteLengths)
    const split = this.splits.of(batch.splitId)
    return { source, batch, bytes, split, before, firstOrdinal: split.emitted, unsettled: 0 }
  }

  /**
   * Undefined when that many inputs of the batch may be emitted in this turn; otherwise it resolves when asking again may help.
   * What is in the sinks must be hastened meanwhile: room comes only from what is settled.
   */
  room(tracked: TrackedBatch, inputs: number): Promise<void> | undefined {
    return this.#room.ask(tracked, inputs, this.#next - this.#watermark)
  }

  /** Nothing more is to be emitted: whoever waits for room goes on and sees so. */
  stopWaiting(): void {
    this.#room.stopWaiting()
  }

  /** As {@link Tracker.emitRun} for one record. */
  emit(tracked: TrackedBatch, index: number, references: number): number {
    return this.emitRun(tracked, index, 1, references)
  }

  /**
   * Emits consecutive records of a batch that became equally many entries.
   *
   * @param references - entries of each that will be settled one by one; 0 settles the inputs at once.
   * @returns the token of the first; those of the others follow one by one.
   */
  emitRun(tracked: TrackedBatch, firstIndex: number, count: number, references: number): number {
    const first = this.#next
    const end = first + count
    while (end - this.#watermark > this.#mask) this.#grow()
    if (firstIndex === 0) tracked.firstOrdinal = tracked.split.emitted
    tracked.split.emitted += count
    this.#next = end
    if (references > 0) this.#hold(tracked, firstIndex, count, references)
    else this.#emitSettled(tracked, firstIndex, count)
    return first
  }

  /** Changes the number of entries of an input that is in hand. */
  add(token: number, change: number): void {
    if (change === 0) return
    if (this.#ended) {
      this.#onLateCall()
      return
    }
    const run = this.#runOf(token)
    const place = token & this.#mask
    const left = (this.#counts[place] as number) + change
    if (run === undefined || left < 0) throw settledTooOften(token)
    this.#counts[place] = left
    if (left > 0) return
    this.#inputEnded(run, token)
    this.#runShrank(run, 1)
    if (token === this.#watermark) this.#advance()
  }

  /** One entry of the input has its outcome. */
  settle(token: number): void {
    this.add(token, -1)
  }

  /** As {@link Tracker.settle} for the first `count` tokens of the list. */
  settleAll(tokens: Float64Array, count: number): void {
    if (this.#ended) {
      for (let index = 0; index < count; index++) this.#onLateCall()
      return
    }
    const counts = this.#counts
    const mask = this.#mask
    for (let index = 0; index < count;) {
      const run = this.#runOf(tokens[index] as number)
      if (run === undefined) throw settledTooOften(tokens[index] as number)
      const { endToken } = run
      // Below the watermark lie counts of later tokens: one that was settled before must not lower theirs.
      const firstToken = Math.max(run.firstToken, this.#watermark)
      let ended = 0
      // Tokens of one request mostly lie in one run.
      for (; index < count; index++) {
        const token = tokens[index] as number
        if (!(token >= firstToken && token < endToken)) break
        const place = token & mask
        const left = (counts[place] as number) - 1
        if (left < 0) throw settledTooOften(token)
        counts[place] = left
        if (left > 0) continue
        this.#inputEnded(run, token)
        ended++
      }
      if (ended > 0) this.#runShrank(run, ended)
    }
    if (counts[this.#watermark & mask] === 0) this.#advance()
  }

  /** One entry of the input is given back: once all its entries have ended it is returned, whatever became of the others. */
  returned(token: number): void {
    if (!this.#ended && this.#runOf(token) !== undefined) this.#returned.add(token)
    this.add(token, -1)
  }

  /** Nothing more of the split is to be emitted; what is in hand goes its way. */
  stopSplit(splitId: string): void {
    const split = this.splits.get(splitId)
    if (split === undefined) return
    split.stopped = true
    this.#room.giveUp((tracked) => tracked.split === split)
  }

  /** Resolves when nothing of the split is in hand; never after {@link Tracker.end}. */
  splitEnded({ split }: Pick<SplitRelease, 'split'>): Promise<void> {
    return this.#releases.ended(split)
  }

  /**
   * The split is given back, with everything unsettled of it; if it is assigned again, it is another one. Undefined when nothing of it
   * was emitted.
   */
  release(splitId: string): SplitRelease | undefined {
    const split = this.splits.get(splitId)
    if (split === undefined) return undefined
    this.stopSplit(splitId)
    this.#releases.released(split)
    this.splits.remove(splitId)
    return { split, unsettled: split.unsettled }
  }

  /** False when no input in hand is of a released split. */
  get hasReleased(): boolean {
    return this.#releases.some
  }

  /** Undefined when everything that was emitted of the split is settled; otherwise the state of the split before the first that is not. */
  firstNotSettled(split: TrackedSplit): { readonly before: SourceSplit | undefined } | undefined {
    let first: Place | undefined = split.firstReturned
    for (const run of this.#runs.live()) {
      if (run.tracked.split !== split) continue
      // Below the watermark lie counts of later tokens.
      let token = Math.max(run.firstToken, this.#watermark)
      while (this.#counts[token & this.#mask] === 0) token++
      const place = placeOf(run, token)
      if (first === undefined || place.ordinal < first.ordinal) first = place
    }
    return first === undefined ? undefined : { before: stateBefore(first) }
  }

  /** Takes what was settled of a split that was released, with `individual`. What is settled of it later is acknowledged by nobody. */
  forget(split: TrackedSplit): readonly unknown[] {
    split.gone = true
    return this.#settled?.takeOf(split) ?? []
  }

  /** True when the input is in hand and its split was given back. */
  isReleased(token: number): boolean {
    return this.#releases.some && this.#runOf(token)?.tracked.split.released === true
  }

  /** True when the input is in hand and may have been written before the last restart. */
  isReplaySuspect(token: number): boolean {
    if (!this.splits.hasSuspects) return false
    const run = this.#runOf(token)
    return run !== undefined && ordinalOf(run, token) < run.tracked.split.suspects
  }

  /**
   * Takes what was settled since the last call, for a source with `acknowledgement: 'individual'`. An input that was returned is
   * never among it.
   *
   * @param below - only inputs with a token below: a barrier.
   */
  takeSettled(below: number = Number.POSITIVE_INFINITY): SettledRecords[] {
    return this.#settled?.take(below) ?? []
  }

  /** Resolves when all tokens below the barrier are settled or returned; never after {@link Tracker.end}. */
  settledUpTo(barrier: number): Promise<void> {
    if (this.#watermark >= barrier) return Promise.resolve()
    return this.#barriers.wait(barrier)
  }

  /** Undefined for an input that is not in hand. */
  origin(token: number): Origin | undefined {
    const run = this.#runOf(token)
    if (run === undefined) return undefined
    const { source, batch } = run.tracked
    return { source, splitId: batch.splitId, raw: batch.raw(indexOf(run, token)) }
  }

  /** Unsettled inputs by split, for reports. */
  unsettledBySplit(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const run of this.#runs.live()) {
      const { splitId } = run.tracked.split
      counts.set(splitId, (counts.get(splitId) ?? 0) + run.unsettled)
    }
    return counts
  }

  /** The attempt is over: what is unsettled is abandoned, and late calls are ignored. */
  end(): void {
    this.#ended = true
    this.#barriers.end()
  }

  /** The run of an input in hand. */
  #runOf(token: number): Run | undefined {
    const place = token & this.#mask
    // So written that it holds for no number either.
    if (!(token >= this.#watermark && token < this.#next) || this.#counts[place] === 0) return undefined
    return this.#runs.at(this.#slots[place] as number)
  }

  #hold(tracked: TrackedBatch, firstIndex: number, count: number, references: number): void {
    const first = this.#next - count
    const run = this.#runs.continued(tracked, first, firstIndex) ?? this.#runs.start(tracked, first, firstIndex)
    if (tracked.unsettled === 0) this.#room.retain(tracked)
    tracked.unsettled += count
    tracked.split.unsettled += count
    run.unsettled += count
    run.endToken = this.#next
    this.#unsettled += count
    fillRing(this.#counts, this.#mask, first, count, references)
    fillRing(this.#slots, this.#mask, first, count, run.slot)
  }

  /** For records that became nothing. */
  #emitSettled(tracked: TrackedBatch, firstIndex: number, count: number): void {
    const first = this.#next - count
    fillRing(this.#counts, this.#mask, first, count, 0)
    const run = this.#runs.continued(tracked, first, firstIndex)
    // The records after them go on in the same run.
    if (run !== undefined) run.endToken = this.#next
    for (let at = 0; this.#settled !== undefined && at < count; at++) {
      this.#settled.note(tracked, first + at, firstIndex + at)
      this.#onEnded?.(tracked.batch, firstIndex + at, 'settled')
    }
    if (first === this.#watermark) this.#advance()
  }

  /** All entries of the input have ended. */
  #inputEnded(run: Run, token: number): void {
    const { tracked } = run
    const returned = this.#returned.size > 0 && this.#returned.delete(token)
    if (returned) {
      this.#returnedInputs++
      const { split } = tracked
      const place = placeOf(run, token)
      if (split.firstReturned === undefined || place.ordinal < split.firstReturned.ordinal) split.firstReturned = place
    }
    // The reader has forgotten the split; one that has it now reads it anew.
    if (this.#settled === undefined || tracked.split.gone) return
    const index = indexOf(run, token)
    if (!returned) this.#settled.note(tracked, token, index)
    this.#onEnded?.(tracked.batch, index, returned ? 'returned' : 'settled')
  }

  #runShrank(run: Run, ended: number): void {
    const { tracked } = run
    this.#unsettled -= ended
    run.unsettled -= ended
    tracked.unsettled -= ended
    tracked.split.unsettled -= ended
    this.#runs.shrank(run)
    if (tracked.split.unsettled === 0) this.#releases.emptied(tracked.split)
    if (tracked.unsettled === 0) this.#room.letGo(tracked)
  }

  #advance(): void {
    const counts = this.#counts
    const mask = this.#mask
    const next = this.#next
    let watermark = this.#watermark
    while (watermark < next && counts[watermark & mask] === 0) watermark++
    this.#watermark = watermark
    this.#room.wake()
    this.#barriers.advancedTo(watermark)
  }

  #grow(): void {
    const capacity = (this.#mask + 1) * 2
    const counts = new Int32Array(capacity)
    const slots = new Int32Array(capacity)
    for (let token = this.#watermark; token < this.#next; token++) {
      const to = token & (capacity - 1)
      const from = token & this.#mask
      counts[to] = this.#counts[from] as number
      slots[to] = this.#slots[from] as number
    }
    this.#counts = counts
    this.#slots = slots
    this.#mask = capacity - 1
  }
}
