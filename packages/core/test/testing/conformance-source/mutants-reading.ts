import { SluiceError } from '../../../src/index.ts'
import { InMemorySource } from '../../../src/testing/in-memory-source.ts'
import type { MemorySplit } from '../../../src/testing/memory-log.ts'
import { type MemoryService, type QueueService, queueSubject } from './services.ts'
import { memory, type Mutant, queue, spoilBatch, spoilReader } from './spoil.ts'

const never = (): Promise<void> => new Promise(() => {})

/** Splits that end, memory, poison, repeats, starts and endings. */
export const READING_MUTANTS: readonly Mutant[] = [
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
