import type { SourceSplit } from '../source/spi.ts'
import { indexOf, ordinalOf, type Run, type TrackedBatch, type TrackedSplit } from './run.ts'

/** The release of one split, as long as it is under way. */
export class Leaving {
  readonly #lost = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<void>()
  #isLost: boolean

  constructor(isLost: boolean) {
    this.#isLost = isLost
  }

  /** Another has the split already: nothing of it is to be acknowledged. */
  get isLost(): boolean {
    return this.#isLost
  }

  /** Resolves when it is lost meanwhile. */
  get lost(): Promise<void> {
    return this.#lost.promise
  }

  /** Resolves when its reader has forgotten the split. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  lose(): void {
    this.#isLost = true
    this.#lost.resolve()
  }

  end(): void {
    this.#ended.resolve()
  }
}

/** The splits that are assigned to this attempt. */
export class SplitTable {
  /** Those that are being released, until their reader has forgotten them. */
  readonly leaving: Map<string, Leaving> = new Map<string, Leaving>()
  readonly #splits = new Map<string, TrackedSplit>()
  #hasSuspects = false
  /** Of splits that are not known yet. */
  #suspectsOfNew = 0

  /** True once repeats are expected: until then nobody has to look. */
  get hasSuspects(): boolean {
    return this.#hasSuspects
  }

  /** The split, made known if it is not yet. */
  of(splitId: string): TrackedSplit {
    let split = this.#splits.get(splitId)
    if (split === undefined) {
      split = {
        splitId,
        emitted: 0,
        suspects: this.#suspectsOfNew,
        unsettled: 0,
        stopped: false,
        released: false,
        gone: false,
        firstReturned: undefined,
      }
      this.#splits.set(splitId, split)
    }
    return split
  }

  get(splitId: string): TrackedSplit | undefined {
    return this.#splits.get(splitId)
  }

  remove(splitId: string): void {
    this.#splits.delete(splitId)
  }

  /**
   * Forgets those that were read to their end.
   *
   * @param isHeld - a reader has the split; it lets go of one that has ended when a stored checkpoint says so.
   */
  forgetFinished(isHeld: (splitId: string) => boolean): void {
    for (const { splitId, unsettled, emitted, suspects } of this.#splits.values()) {
      // One with repeats to come is not assigned yet.
      if (unsettled > 0 || suspects > emitted || this.leaving.has(splitId) || isHeld(splitId)) continue
      this.#splits.delete(splitId)
    }
  }

  values(): Iterable<TrackedSplit> {
    return this.#splits.values()
  }

  /** The next `count` inputs of the split were emitted before the last restart, as far as is known. */
  expectRepeats(splitId: string, count: number): void {
    const split = this.of(splitId)
    split.suspects = split.emitted + count
    this.#hasSuspects ||= split.suspects > 0
  }

  /** Inputs of every split may be repeats, nobody knows how many. */
  expectRepeatsOfAll(): void {
    this.#suspectsOfNew = Number.MAX_SAFE_INTEGER
    for (const split of this.values()) split.suspects = Number.MAX_SAFE_INTEGER
    this.#hasSuspects = true
  }

  /**
   * Repeats that have not come yet, as far as their number is known.
   *
   * @param isOurs - others may read the rest of a split that is not assigned here.
   */
  expectedRepeats(isOurs: (splitId: string) => boolean): number {
    let count = 0
    for (const { splitId, emitted, suspects } of this.values()) {
      if (suspects > emitted && suspects < Number.MAX_SAFE_INTEGER && isOurs(splitId)) count += suspects - emitted
    }
    return count
  }

  /** What is emitted from now on, and what is in hand, is new. */
  expectNoRepeats(): void {
    this.#suspectsOfNew = 0
    for (const split of this.values()) split.suspects = 0
  }

  /** For each split, how many of its inputs may have been written: those emitted, and those expected to be repeats. */
  written(): Map<string, number> {
    return new Map([...this.values()].map(({ splitId, emitted, suspects }) => [splitId, Math.max(emitted, suspects)]))
  }

  /** Inputs emitted of each split, since it was assigned. */
  emitted(): Map<string, number> {
    return new Map([...this.values()].map(({ splitId, emitted }) => [splitId, emitted]))
  }
}

/** An input of a split: where its record lies. */
export interface Place {
  readonly ordinal: number
  readonly tracked: TrackedBatch
  readonly index: number
}

export function placeOf(run: Run, token: number): Place {
  return { ordinal: ordinalOf(run, token), tracked: run.tracked, index: indexOf(run, token) }
}

/** The split's state before that record was emitted. */
export function stateBefore({ tracked, index }: Place): SourceSplit | undefined {
  return index > 0 ? tracked.batch.splitAfter(index - 1) : tracked.before
}
