import type { EnumeratorContext, Source } from '../../src/index.ts'
import { InMemorySource, type MemorySplit } from '../../src/testing.ts'

export interface FamilyState {
  /** Splits of which the enumerator knows that they were read to their end: it never reads them again, whatever a checkpoint says. */
  readonly finished: readonly string[]
}

/**
 * Splits that have parents, as shards have: one is assigned when its parents were read to their end. Each ends after its values.
 *
 * @param parents - of each split.
 */
export function family(
  values: ReadonlyMap<string, readonly number[]>,
  parents: Readonly<Record<string, readonly string[]>>,
  maxBatchSize: number,
): Source<number, MemorySplit, FamilyState> {
  const splitIds = [...values.keys()]
  const inner = new InMemorySource<number>({ splits: splitIds, maxBatchSize })
  for (const [splitId, own] of values) {
    inner.push(splitId, ...own)
    inner.endSplit(splitId)
  }
  return {
    spiVersion: inner.spiVersion,
    uid: 'family',
    stateVersion: 1,
    acknowledgement: 'prefix',
    assignment: 'enumerator',
    positionAuthority: 'checkpoint',
    createReader: (context) => inner.createReader(context),
    createEnumerator(context: EnumeratorContext<MemorySplit>, restored) {
      const finished = new Set(restored?.enumerator.finished)
      const assigned = new Set<string>()
      const assign = (split: MemorySplit): void => {
        assigned.add(split.splitId)
        context.assign([split], 0)
      }
      const assignReady = (): void => {
        for (const splitId of splitIds) {
          if (finished.has(splitId) || assigned.has(splitId)) continue
          if ((parents[splitId] ?? []).every((parent) => finished.has(parent))) assign({ splitId, next: 0 })
        }
        if (finished.size === splitIds.length) context.noMoreSplits()
      }
      return {
        start() {
          const splits = restored?.splits ?? []
          for (const split of splits) if (split.finished === true) finished.add(split.splitId)
          for (const split of splits) if (!finished.has(split.splitId)) assign(split)
          assignReady()
          return Promise.resolve()
        },
        splitFinished(splitId) {
          finished.add(splitId)
          assignReady()
        },
        snapshotState: () => ({ finished: [...finished] }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }
    },
  }
}
