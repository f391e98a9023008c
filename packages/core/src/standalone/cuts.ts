import type { SourceSplit } from '../source/spi.ts'
import type { TrackedSplit } from '../tracker/run.ts'

/** What the enumerator knew before the end of a split was announced to it. */
interface Cut {
  readonly ended: TrackedSplit
  readonly enumerator: unknown
  /** Splits that were assigned then. */
  readonly splitIds: ReadonlySet<string>
}

/** The parts of a checkpoint that must belong together. */
export interface SourceParts {
  readonly enumerator: unknown
  readonly splits: readonly SourceSplit[]
}

/**
 * Keeps the parts of a checkpoint together when a split was read to its end and messages of it are in hand. The split is then stored as
 * it was before its end, and an enumerator that knows of the end would not read it again: stored is what the enumerator knew before
 * the end, with the splits that were assigned then, as far as they are settled now. Splits that were assigned later (children) are
 * not among them: after a restore that enumerator finds them anew, and they are read from where they began.
 */
export class Cuts {
  /** In the order of the ends. Each has messages in hand, which bounds how many there are. */
  #cuts: readonly Cut[] = []
  /** Splits of a cut that left their reader since, as they left. */
  readonly #left = new Map<string, SourceSplit>()

  /**
   * The end of a split is about to be announced.
   *
   * @param enumerator - its state of now.
   * @param splitIds - assigned now.
   */
  add(ended: TrackedSplit, enumerator: unknown, splitIds: readonly string[]): void {
    this.#prune()
    this.#cuts = [...this.#cuts, { ended, enumerator, splitIds: new Set(splitIds) }]
  }

  /** These splits leave their reader, or are about to: unless they come back, this is what is stored of them. */
  keep(splits: readonly SourceSplit[]): void {
    for (const split of splits) {
      if (this.#cuts.some(({ splitIds }) => splitIds.has(split.splitId))) this.#left.set(split.splitId, split)
    }
  }

  /**
   * Fixes the instant of a checkpoint. The returned function makes its parts of the splits as they are settled, then or later.
   *
   * @param enumerator - its state of this instant.
   */
  now(enumerator: () => unknown): (splits: readonly SourceSplit[]) => SourceParts {
    this.#prune()
    // All ends that were announced before this one are settled.
    const [cut] = this.#cuts
    if (cut === undefined) {
      const state = enumerator()
      return (splits) => ({ enumerator: state, splits })
    }
    return (splits) => {
      const states = new Map([...this.#left, ...splits.map((split) => [split.splitId, split] as const)])
      return {
        enumerator: cut.enumerator,
        splits: [...cut.splitIds].flatMap((splitId) => states.get(splitId) ?? []),
      }
    }
  }

  /** Of a split that was given back nothing is in hand either: its enumerator has it. */
  #prune(): void {
    this.#cuts = this.#cuts.filter(({ ended }) => ended.unsettled > 0)
    for (const splitId of this.#left.keys()) {
      if (!this.#cuts.some(({ splitIds }) => splitIds.has(splitId))) this.#left.delete(splitId)
    }
  }
}
