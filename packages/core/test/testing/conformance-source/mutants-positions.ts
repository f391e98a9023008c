import type { GroupSplit } from '../../../src/testing/in-memory-group-log.ts'
import type { QueueReceipt } from '../../../src/testing/in-memory-queue.ts'
import { group, memory, type Mutant, queue, spoilReader } from './spoil.ts'

/** Positions, acknowledgements, splits that leave. */
export const POSITION_MUTANTS: readonly Mutant[] = [
  memory(
    'its position moves when records are fetched',
    'a position moves when records are emitted, never when they are fetched',
    spoilReader(({ poll, emitted }) => ({
      poll: () => {
        const batch = poll()
        if (batch !== undefined) emitted(batch, batch.values.length)
        return batch
      },
      emitted: () => {},
    })),
  ),
  memory(
    'its position moves only with whole batches, and those that a barrier cuts are skipped',
    'a barrier may fall inside a batch',
    spoilReader(({ emitted }) => ({
      emitted: (batch, count) => emitted(batch, count > 0 ? batch.values.length : 0),
    })),
  ),
  group(
    'acknowledges on emission',
    'nothing is acknowledged before a checkpoint is stored',
    ({ emitted }, { log }) => ({
      emitted: (batch, count) => {
        emitted(batch, count)
        if (count > 0) void log.commit([batch.splitAfter(count - 1) as GroupSplit])
      },
    }),
  ),
  queue(
    'deletes messages on emission',
    'nothing is acknowledged before a checkpoint is stored',
    ({ emitted }, service) => ({
      emitted: (batch, count) => {
        emitted(batch, count)
        void service.queue.delete((batch.receipts as readonly QueueReceipt[]).slice(0, count))
      },
    }),
  ),
  queue(
    'deletes messages when they are settled',
    'nothing is acknowledged before a checkpoint is stored',
    ({ recordEnded }, service) => ({
      recordEnded: (batch, index, how) => {
        recordEnded(batch, index, how)
        if (how === 'settled') void service.queue.delete([batch.receipts?.[index] as QueueReceipt])
      },
    }),
  ),
  group(
    'acknowledges up to where it has emitted',
    'a checkpoint acknowledges what it covers, and nothing that was emitted later',
    ({ acknowledge, splitState }, { log }) => ({
      acknowledge: async (id, settled) => {
        await acknowledge(id, settled)
        const splits = ['a', 'b'].flatMap((splitId) => (splitState(splitId) as GroupSplit | undefined) ?? [])
        await log.commit(splits)
      },
    }),
  ),
  group(
    'acknowledges across a gap',
    'a release acknowledges nothing behind a record that is not settled',
    ({ releaseSplits, splitState }) => ({
      releaseSplits: (released, how, deadlineMs) => {
        const emitted = released.map((each) => ({ ...each, split: splitState(each.split.splitId) ?? each.split }))
        return releaseSplits(emitted, how, deadlineMs)
      },
    }),
  ),
  group(
    'forgets an acknowledgement whose notification was skipped',
    'a notification that was skipped is made up for by the next',
    ({ acknowledge }) => {
      let last = 0
      return {
        acknowledge: async (id, settled) => {
          if (id === last + 1) await acknowledge(id, settled)
          last = id
        },
      }
    },
  ),
  memory(
    'a second notification does harm',
    'a notification may come twice',
    spoilReader(({ acknowledge }) => {
      const seen = new Set<number>()
      return {
        acknowledge: (id, settled) => {
          if (seen.has(id)) return Promise.reject(new Error('that checkpoint was acknowledged'))
          seen.add(id)
          return acknowledge(id, settled)
        },
      }
    }),
  ),
  group(
    'takes positions back for an older notification',
    'an older notification after a newer one takes nothing back',
    ({ snapshotState }, { log }) => {
      const positions = new Map<number, readonly GroupSplit[]>()
      return {
        snapshotState: (id) => {
          const splits = snapshotState(id)
          positions.set(id, splits as readonly GroupSplit[])
          return splits
        },
        acknowledge: (id) => log.commit(positions.get(id) ?? []),
      }
    },
  ),
  group(
    'swallows a failed acknowledgement and takes it for done',
    'an acknowledgement that failed is covered by the next, also when nothing was emitted since',
    ({ acknowledge }, { log }) => {
      const commit = log.commit.bind(log)
      log.commit = (splits) => commit(splits).catch(() => undefined)
      return { acknowledge }
    },
  ),
  group(
    'acknowledges without waiting for the acknowledgement before',
    'acknowledgements do not overtake each other',
    ({ snapshotState }, { log }) => {
      const positions = new Map<number, readonly GroupSplit[]>()
      return {
        snapshotState: (id) => {
          const splits = snapshotState(id)
          positions.set(id, splits as readonly GroupSplit[])
          return splits
        },
        acknowledge: (id) => log.commit(positions.get(id) ?? []),
      }
    },
  ),
  group(
    'goes on with an acknowledgement after the deadline of a release',
    'a release and a close end in time when an acknowledgement has no answer',
    (_, { log }) => {
      const commit = log.commit.bind(log)
      log.commit = (splits) => commit(splits)
      return {}
    },
  ),
  group(
    'waits for an acknowledgement without an end',
    'a release and a close end in time when an acknowledgement has no answer',
    ({ releaseSplits }) => ({
      releaseSplits: (released, how) => releaseSplits(released, how, 3_600_000),
    }),
  ),
  group(
    'lets go of a split that ended although its acknowledgement failed',
    'a failed acknowledgement of a split that ended is covered by the next',
    ({ acknowledge, snapshotState }) => {
      let failed = false
      return {
        snapshotState: (id) => snapshotState(id).filter(({ finished }) => finished !== true || !failed),
        acknowledge: (id, settled) =>
          failed
            ? Promise.resolve()
            : acknowledge(id, settled).catch((error: unknown) => {
                failed = true
                throw error
              }),
      }
    },
  ),
  group(
    'takes no notice of the limits of a snapshot',
    'a snapshot goes as far as it is limited to, and the next one on from there',
    () => ({ limitSnapshot: () => undefined }),
  ),
  group(
    'says of a release that its acknowledgement was taken, always',
    'a release says whether its acknowledgement was taken',
    ({ releaseSplits }) => ({
      releaseSplits: (released, how, deadlineMs) => releaseSplits(released, how, deadlineMs).then(() => true),
    }),
  ),
  memory(
    'emits what it had fetched of a split that was released',
    'nothing of a released split is emitted afterwards',
    spoilReader(({ poll, stopSplits }) => {
      const kept: NonNullable<ReturnType<typeof poll>>[] = []
      return {
        poll: () => kept.shift() ?? poll(),
        stopSplits: (splitIds) => {
          for (let batch = poll(); batch !== undefined; batch = poll()) kept.push(batch)
          stopSplits(splitIds)
        },
      }
    }),
  ),
  queue(
    'deletes what was settled of a lost split',
    'what was settled of a split is acknowledged when it is revoked, and nothing when it is lost',
    ({ releaseSplits }) => ({
      releaseSplits: (released, how, deadlineMs) =>
        releaseSplits(released, how === 'lost' ? 'revoked' : how, deadlineMs),
    }),
  ),
  group(
    'acknowledges nothing when a split is revoked',
    'what was settled of a split is acknowledged when it is revoked, and nothing when it is lost',
    ({ releaseSplits }) => ({
      releaseSplits: (released, _, deadlineMs) => releaseSplits(released, 'lost', deadlineMs),
    }),
  ),
  memory(
    'begins a split anew that comes back',
    'a split that comes back goes on from the released position',
    spoilReader(({ addSplits, emitted }) => {
      let begun = false
      return {
        addSplits: (splits) => addSplits(splits.map((split) => (begun ? { ...split, next: 0 } : split))),
        emitted: (batch, count) => {
          begun = true
          emitted(batch, count)
        },
      }
    }),
  ),
]
