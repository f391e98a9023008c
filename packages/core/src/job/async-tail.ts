import type { SluiceError } from '../errors.ts'
import { Breather } from '../runtime/breather.ts'
import type { Clock } from '../runtime/clock.ts'
import type { TrackedSplit } from '../tracker/run.ts'
import type { Tracker } from '../tracker/tracker.ts'
import { AsyncStage, type StageValue } from './async-stage.ts'
import type { CallSlots } from './call-slots.ts'
import { Chunk } from './chunk.ts'
import { type AsyncStep, isKeyed, type Step, type SyncStep } from './operators.ts'
import { MAX_VALUES_PER_CHUNK, OperatorChain, type Poison } from './operator-chain.ts'
import type { SinkOutput } from './sink-output.ts'

export interface AsyncTailPlan {
  readonly clock: Clock
  readonly tracker: Tracker
  readonly output: SinkOutput
  /** Entries that a value becomes at the end: one for each sink. */
  readonly references: number
  readonly slots: ReadonlyMap<Step, CallSlots>
  /** All records of the split that was said to be finished were offered to the sinks. */
  splitFinished(splitId: string): void
  /** The value holds its reference until core has decided. */
  refused(poison: Poison, token: number, value?: unknown): void
  fail(error: SluiceError): void
}

/** Values of one split between the reading and the sinks. */
interface SplitInHand {
  readonly split: TrackedSplit
  values: number
  finished: boolean
}

/** A `mapAsync` and the synchronous steps after it. */
interface Section {
  readonly stage: AsyncStage<SplitInHand>
  readonly chain: OperatorChain
  /** What the steps gave, and the split of each value. */
  readonly chunk: Chunk
  readonly splits: SplitInHand[]
  /** Nothing more comes into the stage. */
  closed: boolean
}

/**
 * The part of a pipeline from its first `mapAsync` on. Each value in it holds one reference of its input's token, so an input is
 * not settled while one of its values is here, and a checkpoint waits for those that were emitted before its barrier.
 */
export class AsyncTail {
  readonly #plan: AsyncTailPlan
  readonly #sections: readonly Section[]
  /** A split that was given back and comes again is another one. */
  readonly #splits = new Map<TrackedSplit, SplitInHand>()
  #ended = false

  /** @param steps - from the first `mapAsync` on. @param keyed - whether values have order keys before it. */
  constructor(steps: readonly Step[], keyed: boolean, plan: AsyncTailPlan) {
    this.#plan = plan
    this.#sections = sectionsOf(steps, keyed, plan)
  }

  /** When the oldest call under way began, and of which step it is. */
  get oldestCall(): { readonly stage: string; readonly startedAt: number } | undefined {
    let oldest: { readonly stage: string; readonly startedAt: number } | undefined
    for (const { stage } of this.#sections) {
      const startedAt = stage.oldestStartedAt
      if (startedAt === undefined || (oldest !== undefined && startedAt >= oldest.startedAt)) continue
      oldest = { stage: stage.step.stage, startedAt }
    }
    return oldest
  }

  /** Takes the values of a chunk of one split; resolves when there was room for all. Undefined for none. */
  offer(chunk: Chunk, splitId: string): Promise<void> | undefined {
    const [first] = this.#sections
    if (chunk.length === 0 || first === undefined) return undefined
    const tracked = this.#plan.tracker.splits.of(splitId)
    const split = this.#splits.get(tracked) ?? { split: tracked, values: 0, finished: false }
    this.#splits.set(tracked, split)
    split.values += chunk.length
    return this.#feed(first.stage, chunk, () => split)
  }

  /** The last record of the split was offered. */
  finish(splitId: string): void {
    const split = this.#splits.get(this.#plan.tracker.splits.of(splitId))
    if (split === undefined) this.#plan.splitFinished(splitId)
    else split.finished = true
  }

  /** Nothing more is offered. */
  close(): void {
    this.#close(this.#sections[0])
  }

  /** Hands values on until all are at the sinks after {@link AsyncTail.close}, or until {@link AsyncTail.end}. */
  async run(): Promise<void> {
    await Promise.all(this.#sections.map((section, index) => this.#run(section, this.#sections[index + 1])))
  }

  /** Splits were given back: nobody waits for the calls of their values. */
  released(): void {
    for (const { stage } of this.#sections) stage.release((token) => this.#plan.tracker.isReleased(token))
  }

  /** Abandons what is here. */
  end(reason: SluiceError): void {
    this.#ended = true
    for (const { stage } of this.#sections) stage.end(reason)
  }

  #close(section: Section | undefined): void {
    if (section === undefined) return
    section.closed = true
    section.stage.wake()
  }

  async #feed(stage: AsyncStage<SplitInHand>, chunk: Chunk, splitOf: (index: number) => SplitInHand): Promise<void> {
    const { values, tokens, byteLengths, keys, length } = chunk
    for (let at = 0; at < length; at++) {
      while (!stage.hasRoom && !this.#ended) await stage.roomy()
      if (this.#ended) return
      if (this.#plan.tracker.isReleased(tokens[at] as number)) {
        this.#plan.tracker.returned(tokens[at] as number)
        this.#leave(splitOf(at), 1)
        continue
      }
      stage.add(values[at], tokens[at] as number, byteLengths[at] as number, keys?.[at] ?? 0, splitOf(at))
    }
  }

  async #run(section: Section, next: Section | undefined): Promise<void> {
    const breather = new Breather(this.#plan.clock)
    const { stage } = section
    while (!this.#ended) {
      const results = stage.take()
      if (results.length > 0) await this.#handOn(section, results, next)
      else if (section.closed && stage.size === 0) break
      else await stage.changed()
      const pause = breather.turn()
      if (pause !== undefined) await pause
    }
    this.#close(next)
  }

  async #handOn(
    section: Section,
    results: readonly StageValue<SplitInHand>[],
    next: Section | undefined,
  ): Promise<void> {
    const { stage, chunk, splits } = section
    for (let from = 0; from < results.length;) {
      chunk.length = 0
      splits.length = 0
      let lowest = Number.POSITIVE_INFINITY
      let at = from
      for (; at < results.length && chunk.length < MAX_VALUES_PER_CHUNK; at++) {
        const result = results[at] as StageValue<SplitInHand>
        this.#convert(section, result, next === undefined ? this.#plan.references : 1)
        if (result.token < lowest) lowest = result.token
      }
      await (next === undefined
        ? this.#toSinks(section, lowest)
        : this.#feed(next.stage, chunk, (index) => splits[index] as SplitInHand))
      if (this.#ended) return
      stage.leave(at - from)
      from = at
    }
  }

  #convert({ stage, chain, chunk, splits }: Section, from: StageValue<SplitInHand>, each: number): void {
    const { token, split, rejected } = from
    const { tracker } = this.#plan
    const before = chunk.length
    if (tracker.isReleased(token)) {
      tracker.returned(token)
      this.#leave(split, 1)
      return
    }
    const count = rejected === undefined ? chain.runOne(from.value, from.key) : -1
    if (count === -1) {
      // What a call was given tells the refusals of one input apart; what it gave may be another after a restart.
      if (rejected !== undefined) {
        this.#plan.refused({ stage: stage.step.stage, error: rejected.error }, token, from.value)
      } else if (chain.poison !== undefined) this.#plan.refused(chain.poison, token)
      this.#leave(split, 1)
      return
    }
    chunk.fit()
    chunk.describe(before, count, token, from.byteLength)
    for (let made = 0; made < count; made++) splits.push(split)
    split.values += count
    tracker.add(token, count * each - 1)
    this.#leave(split, 1)
  }

  #toSinks({ chunk, splits }: Section, lowest: number): Promise<void> | undefined {
    let gone = 0
    return this.#plan.output.offer(chunk, lowest, (taken) => {
      for (; gone < taken; gone++) this.#leave(splits[gone] as SplitInHand, 1)
    })
  }

  /** Values of the split that went to the sinks, became nothing or were refused. */
  #leave(split: SplitInHand, count: number): void {
    split.values -= count
    if (split.values > 0) return
    this.#splits.delete(split.split)
    // In the turn in which the last of them left: before another barrier can pass. The end of one that is given back is its next
    // reader's to announce.
    if (split.finished && !split.split.stopped && !this.#ended) this.#plan.splitFinished(split.split.splitId)
  }
}

function sectionsOf(steps: readonly Step[], keyedBefore: boolean, plan: AsyncTailPlan): Section[] {
  const starts = steps.flatMap((step, index) => (step.kind === 'mapAsync' ? [index] : []))
  return starts.map((start, index) => {
    const step = steps[start] as AsyncStep
    const after = steps.slice(start + 1, starts[index + 1]) as SyncStep[]
    const keyed = keyedBefore || isKeyed(steps.slice(0, start))
    const chunk = new Chunk(keyed || isKeyed(after))
    const slots = plan.slots.get(step) as CallSlots
    const host = { keyed, clock: plan.clock, slots, fail: (error: SluiceError): void => plan.fail(error) }
    const stage = new AsyncStage<SplitInHand>(step, host)
    return { stage, chain: new OperatorChain(after, chunk, 0), chunk, splits: [], closed: false }
  })
}
