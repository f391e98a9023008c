import type { CheckpointStore, EmittedHint } from '../checkpoint/storage.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { Clock, Timer } from '../runtime/clock.ts'
import type { Tracker } from '../tracker/tracker.ts'

const INTERVAL_MS = 1_000
/** Inputs of each split that may be emitted until the next note, at least. */
const LEAST_AHEAD = 1_000

export interface ReplayHintsPlan {
  readonly job: string
  readonly store: CheckpointStore
  readonly clock: Clock
  readonly logger: Logger
  readonly tracker: Tracker
  /** The newest checkpoint that is stored; 0 while there is none. */
  completed(): number
}

/**
 * Notes beside the checkpoint how far each split has been emitted, so that the next attempt, or process, knows which inputs may have
 * been written already. A hint, no state: best effort, and a little more than the truth rather than less.
 */
export class ReplayHints {
  readonly #plan: ReplayHintsPlan
  /** Inputs emitted before the barrier of each checkpoint that is open, and of the newest one that is stored. */
  readonly #barriers = new Map<number, ReadonlyMap<string, number>>()
  #notedUpTo = -1
  #emittedBefore: ReadonlyMap<string, number> = new Map()
  #timer: Timer | undefined
  /** What is known of before, until it is the tracker that knows. */
  #last: EmittedHint | undefined
  /** The newest checkpoint that was lost: as many intervals are repeated as lie between it and the one that is used; 0 for none. */
  #lostUpTo = 0
  #writing: Promise<void> | undefined
  #warned = false
  #stopped = false

  constructor(plan: ReplayHintsPlan) {
    this.#plan = plan
  }

  /** @param last - what the attempt before this one in the same process had emitted; it knows better than any note. */
  async restore(checkpointId: number, last: EmittedHint | undefined): Promise<void> {
    this.#last = last
    const hint = last ?? (await this.#load())
    this.#barriers.set(checkpointId, new Map())
    this.#last = undefined
    if (hint === undefined || checkpointId === 0) return
    // Noted after a checkpoint that is not used: more than it says lies between the two.
    const { splits } = this.#plan.tracker
    if (hint.checkpointId > checkpointId) {
      this.#lostUpTo = hint.checkpointId
      splits.expectRepeatsOfAll()
      return
    }
    for (const [splitId, count] of Object.entries(hint.emitted)) splits.expectRepeats(splitId, count)
  }

  /** A snapshot is being taken: what was emitted so far lies before its barrier. */
  barrier(checkpointId: number): void {
    this.#forgetBefore(this.#plan.completed())
    this.#barriers.set(checkpointId, this.#plan.tracker.splits.emitted())
  }

  start(): void {
    this.#note()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** What may have been written since the newest stored checkpoint, for the next attempt; asked for once no store is under way. */
  get emitted(): EmittedHint | undefined {
    return this.#last ?? (this.#barriers.size === 0 ? undefined : this.#hint(() => 0))
  }

  /** Notes the exact figures, after {@link ReplayHints.stop}. Nothing is written any more once it resolves. */
  async finish(): Promise<void> {
    await this.#writing
    if (this.#notedUpTo >= 0) await this.#store(this.#hint(() => 0))
  }

  #note(): void {
    if (this.#stopped) return
    const { tracker, clock } = this.#plan
    if (tracker.next !== this.#notedUpTo && this.#writing === undefined) {
      this.#notedUpTo = tracker.next
      const before = this.#emittedBefore
      const emitted = tracker.splits.emitted()
      this.#emittedBefore = emitted
      // Until the next note as much again may be emitted.
      const ahead = (splitId: string): number =>
        Math.max(LEAST_AHEAD, (emitted.get(splitId) ?? 0) - (before.get(splitId) ?? 0))
      this.#writing = this.#store(this.#hint(ahead)).finally(() => {
        this.#writing = undefined
      })
    }
    this.#timer = clock.after(INTERVAL_MS, () => this.#note())
  }

  #hint(ahead: (splitId: string) => number): EmittedHint {
    const checkpointId = this.#plan.completed()
    const covered = this.#barriers.get(checkpointId) ?? new Map<string, number>()
    this.#forgetBefore(checkpointId)
    const { tracker } = this.#plan
    if (this.#lostUpTo > 0 && checkpointId >= this.#lostUpTo) {
      tracker.splits.expectNoRepeats()
      this.#lostUpTo = 0
    }
    const emitted = tracker.splits.emitted()
    // What an attempt before this one had emitted is no less suspect because this one has not come so far.
    const written = [...tracker.splits.written()].map(([splitId, count]) => {
      const upTo = Math.max(count, (emitted.get(splitId) ?? 0) + ahead(splitId))
      return [splitId, Math.min(Number.MAX_SAFE_INTEGER, upTo - (covered.get(splitId) ?? 0))] as const
    })
    return { checkpointId, emitted: Object.fromEntries(written) }
  }

  #forgetBefore(checkpointId: number): void {
    for (const id of this.#barriers.keys()) if (id < checkpointId) this.#barriers.delete(id)
  }

  async #store(hint: EmittedHint): Promise<void> {
    try {
      await this.#plan.store.storeHint?.(hint)
    } catch (error) {
      this.#warn(error)
    }
  }

  async #load(): Promise<EmittedHint | undefined> {
    try {
      return await this.#plan.store.loadHint?.()
    } catch (error) {
      this.#warn(error)
      return undefined
    }
  }

  #warn(error: unknown): void {
    if (this.#warned) return
    this.#warned = true
    const { logger, job } = this.#plan
    logger.warn(
      { job, error: messageOf(error) },
      'How far records were emitted could not be noted or read: repeats after a restart are not recognised as such',
    )
  }
}
