import type { SettledRecords, SourceReader, SourceSplit } from '../source/spi.ts'
import type { Tracker } from '../tracker/tracker.ts'

/** Hands the readers what a stored checkpoint allows to acknowledge; what a failed call had is handed over again. */
export class Acknowledgements {
  readonly #tracker: Tracker
  readonly #pending = new Map<SourceReader<unknown, SourceSplit>, SettledRecords[]>()

  constructor(tracker: Tracker) {
    this.#tracker = tracker
  }

  /**
   * @param barrier - inputs below it are covered.
   * @throws the first failure, after every reader has answered.
   */
  async acknowledge(
    readers: readonly SourceReader<unknown, SourceSplit>[],
    checkpointId: number,
    barrier: number,
  ): Promise<void> {
    this.#take(readers, barrier)
    const outcomes = await Promise.allSettled(
      readers.map(async (reader) => {
        const handed = this.#pending.get(reader) ?? []
        await reader.acknowledge(checkpointId, handed)
        const left = this.#pending.get(reader)?.filter((records) => !handed.includes(records)) ?? []
        if (left.length > 0) this.#pending.set(reader, left)
        else this.#pending.delete(reader)
      }),
    )
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** Takes what waits for a repeated acknowledgement of these splits: it goes with their release. */
  takeOf(reader: SourceReader<unknown, SourceSplit>, splitId: string): readonly unknown[] {
    const pending = this.#pending.get(reader) ?? []
    this.#pending.set(
      reader,
      pending.filter((records) => records.splitId !== splitId),
    )
    return pending.filter((records) => records.splitId === splitId).flatMap(({ receipts }) => receipts)
  }

  #take(readers: readonly SourceReader<unknown, SourceSplit>[], barrier: number): void {
    for (const records of this.#tracker.takeSettled(barrier)) {
      const reader = readers.find((each) => each.splitState(records.splitId) !== undefined)
      if (reader === undefined) continue
      const pending = this.#pending.get(reader)
      if (pending === undefined) this.#pending.set(reader, [records])
      else this.#pending.set(reader, [...pending, records])
    }
  }
}
