import { SluiceError } from '../errors.ts'
import type { EnumeratorContext, ReleaseHow, SourceContext, SourceReader, SourceSplit } from '../source/spi.ts'
import type { AnySource, ReleaseSplits } from './plan.ts'
import type { Subtask } from './subtask.ts'

/** What emits the records of a reader, as a release of splits sees it. */
export type EmitLoop = Pick<Subtask, 'reportEmitted' | 'released'>

/** A reader and the loop that emits what it reads. */
export interface Member<Loop extends EmitLoop = Subtask> {
  readonly reader: SourceReader<unknown, SourceSplit>
  readonly subtask: Loop
}

export interface AssignmentsPlan {
  readonly source: AnySource
  readonly parallelism: number
  fail(error: SluiceError): void
  /** Takes splits, which these readers have, from them. */
  readonly release: ReleaseSplits
}

/** Which reader has which splits; those that were assigned before reading may begin wait here. */
export class Assignments<Loop extends EmitLoop = Subtask> {
  readonly members: Member<Loop>[] = []
  readonly #plan: AssignmentsPlan
  #pending: { readonly splits: readonly SourceSplit[]; readonly subtask: number }[] | undefined = []
  /** Read by nobody, and on their way back to the enumerator. */
  #leaving: readonly SourceSplit[] = []
  #noMoreSplits = false
  #paused = false
  /** The reader that was looked for last. */
  #asked: SourceReader<unknown, SourceSplit> | undefined

  constructor(plan: AssignmentsPlan) {
    this.#plan = plan
  }

  get readers(): readonly SourceReader<unknown, SourceSplit>[] {
    return this.members.map(({ reader }) => reader)
  }

  /** The reader that has the split. Asked for each input that ends, and nearly always for the split of the one before. */
  readerOf(splitId: string): SourceReader<unknown, SourceSplit> | undefined {
    if (this.#asked?.splitState(splitId) === undefined) {
      this.#asked = this.readers.find((reader) => reader.splitState(splitId) !== undefined)
    }
    return this.#asked
  }

  /** Splits that no reader has yet: they belong into a snapshot like those of the readers. */
  get pending(): readonly SourceSplit[] {
    return [...(this.#pending ?? []).flatMap(({ splits }) => splits), ...this.#leaving]
  }

  /** Hands the splits found so far to the readers: from here on they are read. */
  open(): void {
    const pending = this.#pending ?? []
    this.#pending = undefined
    for (const { splits, subtask } of pending) this.#assign(splits, subtask)
    if (this.#noMoreSplits) for (const { reader } of this.members) reader.noMoreSplits()
  }

  /** Fetches nothing more, of splits that are assigned later either. */
  pause(): void {
    this.#paused = true
    for (const { reader } of this.members) reader.pauseSplits(splitIdsOf(reader))
  }

  resume(): void {
    this.#paused = false
    for (const { reader } of this.members) reader.resumeSplits(splitIdsOf(reader))
  }

  /** What the enumerator is given. */
  context(context: SourceContext): EnumeratorContext<SourceSplit> {
    return {
      ...context,
      parallelism: this.#plan.parallelism,
      assign: (splits, subtask) => {
        if (this.#pending === undefined) this.#assign(splits, subtask)
        else this.#pending.push({ splits, subtask })
      },
      noMoreSplits: () => {
        this.#noMoreSplits = true
        if (this.#pending === undefined) for (const { reader } of this.members) reader.noMoreSplits()
      },
      release: (splitIds, how, deadlineMs) => this.#release(splitIds, how, deadlineMs),
    }
  }

  /** A split that no reader takes would be lost without a word. */
  #assign(splits: readonly SourceSplit[], subtask: number): void {
    const reader = this.members[subtask]?.reader
    if (reader !== undefined) {
      reader.addSplits(splits)
      // In the same turn: a fetch begins in a later one.
      if (this.#paused) reader.pauseSplits(splits.map(({ splitId }) => splitId))
      return
    }
    const { source, parallelism } = this.#plan
    const message = `${source.uid} assigned splits to subtask ${subtask}, of ${parallelism} from 0`
    this.#plan.fail(new SluiceError('SLUICE_SOURCE_FAILED', message))
  }

  async #release(splitIds: readonly string[], how: ReleaseHow, deadlineMs: number): Promise<readonly SourceSplit[]> {
    // Nothing was read of those that wait: they go back as they came.
    const unread = (this.#pending ?? [])
      .flatMap(({ splits }) => splits)
      .filter(({ splitId }) => splitIds.includes(splitId))
    this.#pending = this.#pending?.map(({ splits, subtask }) => ({
      splits: splits.filter(({ splitId }) => !splitIds.includes(splitId)),
      subtask,
    }))
    // Until the caller has them they belong into a snapshot.
    this.#leaving = [...this.#leaving, ...unread]
    let released: readonly SourceSplit[] = []
    try {
      released = await this.#plan.release(splitIds, how, deadlineMs)
    } catch (error) {
      this.#plan.fail(SluiceError.from(error, 'SLUICE_SOURCE_FAILED', `${this.#plan.source.uid}: release of splits`))
    }
    this.#leaving = this.#leaving.filter((split) => !unread.includes(split))
    return [...unread, ...released]
  }
}

function splitIdsOf(reader: SourceReader<unknown, SourceSplit>): readonly string[] {
  return reader.status().splits.map(({ splitId }) => splitId)
}
