import type { TrackedSplit } from './run.ts'

/** Splits that were given back while inputs of them are in hand, and who waits for their end. */
export class Releases {
  #inHand = 0
  readonly #waits = new Map<TrackedSplit, (() => void)[]>()

  /** False when no input in hand is of a split that was given back: then nobody has to look. */
  get some(): boolean {
    return this.#inHand > 0
  }

  released(split: TrackedSplit): void {
    split.released = true
    if (split.unsettled > 0) this.#inHand++
  }

  /** Resolves when nothing of the split is in hand. */
  ended(split: TrackedSplit): Promise<void> {
    if (split.unsettled === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const waits = this.#waits.get(split)
      if (waits === undefined) this.#waits.set(split, [resolve])
      else waits.push(resolve)
    })
  }

  /** The last input in hand of the split has ended. */
  emptied(split: TrackedSplit): void {
    if (split.released) this.#inHand--
    if (this.#waits.size === 0) return
    const waits = this.#waits.get(split) ?? []
    this.#waits.delete(split)
    for (const resolve of waits) resolve()
  }
}
