import { expect, test } from 'vitest'
import {
  MetricRegistry,
  type ReaderContext,
  silentLogger,
  SourceReaderBase,
  type SplitFetcher,
} from '../../src/index.ts'
import { VirtualClock } from '../../src/testing.ts'

interface Split {
  readonly splitId: string
  readonly next: number
}

/** A service that never answers a commit, and a reader that was told of three records of a split. */
async function hangingCommit() {
  const clock = new VirtualClock()
  const signals: AbortSignal[] = []
  const context: ReaderContext = {
    sourceUid: 's',
    subtask: 0,
    logger: silentLogger,
    metrics: new MetricRegistry().group({}),
    clock,
    random: () => 0.5,
    signal: new AbortController().signal,
    fail: () => undefined,
    requestCheckpoint: () => undefined,
  }
  const reader = new (class extends SourceReaderBase<number, Split> {
    protected openSplit({ splitId }: Split): SplitFetcher<number, Split> {
      let fetched = false
      return {
        fetch: () => {
          if (fetched) return new Promise(() => {})
          fetched = true
          return Promise.resolve({
            delayMs: 0,
            batch: {
              splitId,
              values: [1, 2, 3],
              byteLengths: new Uint32Array(3).fill(1),
              lastOfSplit: false,
              raw: () => undefined,
              splitAfter: (index: number) => ({ splitId, next: index + 1 }),
            },
          })
        },
      }
    }
    protected describePosition({ next }: Split): string {
      return String(next)
    }
    protected override commit(_splits: readonly Split[], signal: AbortSignal): Promise<void> {
      signals.push(signal)
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    }
  })(context, { maxBytesPerFetch: 3 })
  reader.addSplits([{ splitId: 'a', next: 0 }])
  await clock.flush()
  const batch = reader.poll()
  if (batch === undefined) throw new Error('nothing was fetched')
  reader.emitted(batch, 2)
  reader.snapshotState(1)
  const acknowledged = reader.acknowledge(1, []).catch((error: Error) => error)
  await clock.flush()
  return { clock, reader, signals, acknowledged }
}

test('what is being committed of a split ends when the split is lost', async () => {
  const { clock, reader, signals, acknowledged } = await hangingCommit()
  expect(signals.map(({ aborted }) => aborted)).toEqual([false])
  reader.stopSplits(['a'])
  await reader.releaseSplits([{ split: { splitId: 'a', next: 2 }, receipts: [] }], 'lost', 1000)
  expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  expect(await acknowledged).toBeInstanceOf(Error)
  const closed = reader.close(0)
  await clock.advance(1)
  await closed
  expect(clock.pendingTimers).toBe(0)
})

test('and at the deadline when it is revoked: nothing of it is committed after that', async () => {
  const { clock, reader, signals, acknowledged } = await hangingCommit()
  reader.stopSplits(['a'])
  const released = reader.releaseSplits([{ split: { splitId: 'a', next: 2 }, receipts: [] }], 'revoked', 1000)
  await clock.advance(999)
  expect(signals.map(({ aborted }) => aborted)).toEqual([false])
  await clock.advance(1)
  await released
  expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  expect(await acknowledged).toBeInstanceOf(Error)
  await clock.flush()
  expect(signals).toHaveLength(1)
  const closed = reader.close(0)
  await clock.advance(1)
  await closed
})

test('and at once when it is lost while it is revoked: what waits behind it is not committed at all', async () => {
  const { clock, reader, signals, acknowledged } = await hangingCommit()
  const loss = new AbortController()
  reader.stopSplits(['a'])
  const released = reader.releaseSplits(
    [{ split: { splitId: 'a', next: 1 }, receipts: [] }],
    'revoked',
    60_000,
    loss.signal,
  )
  await clock.advance(500)
  expect(signals.map(({ aborted }) => aborted)).toEqual([false])
  loss.abort()
  await clock.flush()
  await released
  expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  expect(await acknowledged).toBeInstanceOf(Error)
  const closed = reader.close(0)
  await clock.advance(1)
  await closed
  expect(clock.pendingTimers).toBe(0)
})
