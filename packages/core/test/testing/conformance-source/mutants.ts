import { SluiceError } from '../../../src/index.ts'
import type { GroupSplit } from '../../../src/testing/in-memory-group-log.ts'
import { InMemorySource } from '../../../src/testing/in-memory-source.ts'
import type { QueueReceipt } from '../../../src/testing/in-memory-queue.ts'
import type { MemorySplit } from '../../../src/testing/memory-log.ts'
import { type MemoryService, type QueueService, queueSubject } from './services.ts'
import { group, memory, type Mutant, queue, spoilBatch, spoilReader } from './spoil.ts'

const never = (): Promise<void> => new Promise(() => {})

/** Positions, acknowledgements, splits that leave. */
export const MUTANTS: readonly Mutant[] = [
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
  memory(
    'takes a finished split out of the snapshot too early',
    'a finished split stays in the snapshot until a checkpoint that covers it is stored',
    spoilReader(({ snapshotState }) => ({
      snapshotState: (id) => snapshotState(id).filter(({ finished }) => finished !== true),
    })),
  ),
  memory(
    'keeps a finished split for ever',
    'a finished split stays in the snapshot until a checkpoint that covers it is stored',
    spoilReader(() => ({ acknowledge: () => Promise.resolve() })),
  ),
  memory(
    'jumps to the latest when its position is gone',
    'a position that is gone fails with what was wanted and what there is',
    (_, service) => {
      const { log } = service as MemoryService
      return new InMemorySource({ log, maxBatchSize: 5, maxFetchedBytes: 2000, onPositionLost: 'latest' })
    },
  ),
  memory(
    'fails without saying what there is',
    'a position that is gone fails with what was wanted and what there is',
    (source) => {
      const createReader = source.createReader.bind(source)
      source.createReader = (context) =>
        createReader({ ...context, fail: () => context.fail(new SluiceError('SLUICE_POSITION_LOST', 'gone')) })
      return source
    },
  ),
  memory(
    'goes on fetching when its queue is full',
    'a reader holds no more than its limit, and fetches nothing while it is full',
    (_, service) => {
      const { log } = service as MemoryService
      return new InMemorySource({ log, maxBatchSize: 5 })
    },
  ),
  queue(
    'keeps a message that was returned',
    'a record that was returned is not acknowledged, and is emitted again',
    ({ recordEnded }) => ({
      recordEnded: (batch, index, how) => {
        if (how === 'settled') recordEnded(batch, index, how)
      },
    }),
  ),
  {
    fault: 'deletes the repeat of a message in hand',
    caughtBy: 'a repeat of a record in hand is neither emitted nor acknowledged',
    subject: queueSubject((source, service) => {
      const { queue: spoiled } = service as QueueService
      const receive = spoiled.receive.bind(spoiled)
      spoiled.receive = async (max, signal) => {
        const deliveries = await receive(max, signal)
        await spoiled.delete(deliveries.map(({ receipt }) => receipt).filter(({ delivery }) => delivery > 1))
        return deliveries.filter(({ receipt }) => receipt.delivery === 1)
      }
      return source
    }),
  },
  {
    fault: 'emits the repeat of a message in hand',
    caughtBy: 'a repeat of a record in hand is neither emitted nor acknowledged',
    subject: queueSubject((source, service) => {
      const { queue: spoiled } = service as QueueService
      const receive = spoiled.receive.bind(spoiled)
      spoiled.receive = async (max, signal) =>
        (await receive(max, signal)).map((each) => {
          const { messageId, delivery } = each.receipt
          return delivery === 1 ? each : { ...each, receipt: { messageId: `${messageId}, again`, delivery } }
        })
      return source
    }),
  },
  queue(
    'emits the next of a group while one is in hand',
    'of a group one record is in hand at a time, in order',
    ({ emitted, recordEnded }) => ({
      emitted: (batch, count) => {
        for (let index = 0; index < count; index++) recordEnded(batch, index, 'settled')
        emitted(batch, count)
      },
      recordEnded: () => {},
    }),
  ),
  memory(
    'begins at another latest after a restart',
    'the first start position is stable before the first read',
    (source) => {
      const createEnumerator = source.createEnumerator.bind(source)
      source.createEnumerator = (context) => createEnumerator(context, undefined)
      return source
    },
  ),
  memory(
    'reads before its start is stored',
    'nothing is read before the start positions are stored',
    (source, service) => {
      const createReader = source.createReader.bind(source)
      source.createReader = (context) => {
        const reader = createReader(context)
        ;(service as MemoryService).log.fetches++
        return reader
      }
      return source
    },
  ),
  memory(
    'has state that JSON changes',
    'state has a version, and each split is in it once',
    spoilReader(({ snapshotState }) => ({
      snapshotState: (id) => snapshotState(id).map((split) => ({ ...split, at: new Date(0) })),
    })),
  ),
  memory('restores only what its own subtask had', 'a checkpoint restores with any parallelism', (source) => {
    const createEnumerator = source.createEnumerator.bind(source)
    source.createEnumerator = (context, restored) =>
      createEnumerator(
        context,
        restored === undefined
          ? undefined
          : { ...restored, splits: context.parallelism === 1 ? restored.splits.slice(0, 1) : restored.splits },
      )
    return source
  }),
  memory(
    'does not wake who waits',
    'ready resolves when there is a batch, and when fetching stops',
    spoilReader(() => ({ ready: never })),
  ),
  memory(
    'passes pauses over',
    'a split that is paused is not fetched until it is resumed',
    spoilReader(() => ({ pauseSplits: () => {} })),
  ),
  memory(
    'forgets that a record could not be decoded',
    'a record that cannot be decoded is isolated',
    spoilBatch(() => ({ decodeErrors: new Map() })),
  ),
  memory(
    'condemns a whole batch for one record',
    'a record that cannot be decoded is isolated',
    spoilBatch(({ values, decodeErrors }) => ({
      decodeErrors: decodeErrors?.size === 0 ? decodeErrors : new Map(values.map((_, index) => [index, 'poison'])),
    })),
  ),
  memory(
    'says one position for all records',
    'each record has its raw bytes and a position of its own',
    spoilBatch((batch) => ({
      raw: (index) => ({ bytes: batch.raw(index)?.bytes ?? new Uint8Array(0), position: '0' }),
    })),
  ),
  memory(
    'shifts the positions of a batch by one',
    'a barrier may fall inside a batch',
    spoilReader(({ emitted, snapshotState }) => ({
      emitted,
      snapshotState: (id) =>
        (snapshotState(id) as readonly MemorySplit[]).map((split) => ({
          ...split,
          next: split.next + (split.next % 5 > 0 ? 1 : 0),
        })),
    })),
  ),
  memory('calls a final failure restartable', 'a failure that no restart heals ends the attempt for good', (source) => {
    const createReader = source.createReader.bind(source)
    source.createReader = (context) =>
      createReader({
        ...context,
        fail: ({ code, message }) => context.fail(new SluiceError(code, message, { restartable: true })),
      })
    return source
  }),
  memory(
    'ends before its records were emitted',
    'a reader ends when the input has, and not before',
    (source, service) => {
      const createReader = source.createReader.bind(source)
      source.createReader = (context) =>
        Object.defineProperty(createReader(context), 'ended', { get: () => (service as MemoryService).log.ended })
      return source
    },
  ),
  memory(
    'never ends its close',
    'close ends in time, aborts what is under way, and may be called again',
    spoilReader(() => ({ close: never })),
  ),
  memory(
    'takes a second close amiss',
    'close ends in time, aborts what is under way, and may be called again',
    spoilReader(({ close }) => {
      let closed = false
      return {
        close: (deadlineMs) => {
          if (closed) return Promise.reject(new Error('it is closed'))
          closed = true
          return close(deadlineMs)
        },
      }
    }),
  ),
  memory(
    'lets fetches go on after close',
    'close ends in time, aborts what is under way, and may be called again',
    spoilReader(() => ({ stopFetching: () => {} })),
  ),
]
