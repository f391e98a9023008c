import { describe, expect, test } from 'vitest'
import {
  type Fetched,
  MetricRegistry,
  type ReaderContext,
  silentLogger,
  type SluiceError,
  SOURCE_METRICS,
  SourceReaderBase,
  type SourceSplit,
  type SplitFetcher,
} from '../../src/index.ts'
import { seededRandom, VirtualClock } from '../../src/testing.ts'
import { until } from '../job/harness.ts'

interface Split extends SourceSplit {
  readonly next: number
}

type Answer = Fetched<number, Split>

function batch(splitId: string, first: number, count: number, lastOfSplit = false): Answer {
  return {
    delayMs: 0,
    batch: {
      splitId,
      values: Array.from({ length: count }, (_, index) => first + index),
      byteLengths: new Uint32Array(count).fill(10),
      lastOfSplit,
      raw: () => undefined,
      splitAfter: (index) => ({ splitId, next: first + index + 1 }),
    },
  }
}

class Reader extends SourceReaderBase<number, Split> {
  readonly fetches: string[] = []
  answer: (splitId: string, signal: AbortSignal) => Promise<Answer> = () => new Promise(() => {})

  protected openSplit(split: Split): SplitFetcher<number, Split> {
    return {
      fetch: (signal) => {
        this.fetches.push(split.splitId)
        // A reader without a bound would else never leave its loop.
        return this.fetches.length > 1000 ? new Promise(() => {}) : this.answer(split.splitId, signal)
      },
    }
  }

  protected describePosition(split: Split): string {
    return `at ${split.next}`
  }
}

function bench(maxFetchedBytes = 1000, maxBytesPerFetch = 100) {
  const clock = new VirtualClock()
  const metrics = new MetricRegistry()
  const failures: SluiceError[] = []
  const context: ReaderContext = {
    sourceUid: 'source',
    logger: silentLogger,
    metrics,
    clock,
    random: seededRandom(1),
    signal: new AbortController().signal,
    subtask: 0,
    fail: (error) => void failures.push(error),
    requestCheckpoint: () => {},
  }
  return { clock, metrics, failures, reader: new Reader(context, { maxFetchedBytes, maxBytesPerFetch }) }
}

async function close(clock: VirtualClock, reader: Reader): Promise<void> {
  const closing = reader.close(0)
  await clock.advance(0)
  await closing
}

describe('a polling reader', () => {
  test('moves its positions when records are emitted, never when they are fetched', async () => {
    const { clock, reader } = bench()
    let next = 0
    reader.answer = () => (next === 0 ? Promise.resolve(batch('a', (next += 5) - 5, 5)) : new Promise(() => {}))
    reader.addSplits([{ splitId: 'a', next: 0 }])
    await clock.flush()
    expect(reader.status().queuedRecords).toBe(5)
    expect(reader.snapshotState(1)).toEqual([{ splitId: 'a', next: 0 }])
    const polled = reader.poll()
    if (polled === undefined) throw new Error('nothing was fetched')
    expect(reader.status().queuedRecords).toBe(0)
    expect(reader.snapshotState(2)).toEqual([{ splitId: 'a', next: 0 }])
    reader.emitted(polled, 2)
    expect(reader.snapshotState(3)).toEqual([{ splitId: 'a', next: 2 }])
    expect(reader.status().splits).toEqual([{ splitId: 'a', position: 'at 2' }])
    reader.emitted(polled, 5)
    expect(reader.snapshotState(4)).toEqual([{ splitId: 'a', next: 5 }])
    await close(clock, reader)
  })

  test('holds no more than its limit, fetches under way counted at their maximum', async () => {
    const { clock, reader } = bench(250, 100)
    reader.answer = (splitId) => Promise.resolve(batch(splitId, 0, 5))
    reader.addSplits([{ splitId: 'a', next: 0 }])
    await clock.flush()
    // 50 bytes a batch: at 200 a fetch of up to 100 would pass the limit.
    expect(reader.fetches).toHaveLength(4)
    expect(reader.status().fetchedBytes).toBe(200)
    const first = reader.poll()
    if (first === undefined) throw new Error('nothing was fetched')
    await clock.flush()
    expect(reader.fetches).toHaveLength(4)
    reader.emitted(first, 5)
    await clock.flush()
    expect(reader.fetches).toHaveLength(5)
    await close(clock, reader)
  })

  test('gives the bytes of a batch back once, however often it is reported as whole', async () => {
    const { clock, reader } = bench(250, 100)
    reader.answer = (splitId) => Promise.resolve(batch(splitId, 0, 5))
    reader.addSplits([{ splitId: 'a', next: 0 }])
    await clock.flush()
    const first = reader.poll()
    if (first === undefined) throw new Error('nothing was fetched')
    reader.emitted(first, 3)
    reader.emitted(first, 5)
    reader.emitted(first, 5)
    await clock.flush()
    expect(reader.status().fetchedBytes).toBe(200)
    expect(reader.fetches).toHaveLength(5)
    await close(clock, reader)
  })

  test('waits as long as a fetch says before the next', async () => {
    const { clock, reader } = bench()
    reader.answer = () => Promise.resolve({ delayMs: 200, millisBehindLatest: 7 })
    reader.addSplits([{ splitId: 'a', next: 0 }])
    await clock.advance(199)
    expect(reader.fetches).toHaveLength(1)
    await clock.advance(1)
    expect(reader.fetches).toHaveLength(2)
    expect(reader.status().splits).toEqual([{ splitId: 'a', position: 'at 0', millisBehindLatest: 7 }])
    await close(clock, reader)
    expect(clock.pendingTimers).toBe(0)
  })

  test('ends when no split is left and none will follow', async () => {
    const { clock, reader } = bench()
    reader.answer = (splitId) => Promise.resolve(batch(splitId, 0, 1, true))
    expect(reader.ended).toBe(false)
    reader.addSplits([{ splitId: 'a', next: 0 }])
    reader.noMoreSplits()
    await clock.flush()
    expect(reader.ended).toBe(false)
    const last = reader.poll()
    if (last === undefined) throw new Error('nothing was fetched')
    expect(reader.ended).toBe(false)
    reader.emitted(last, 1)
    expect(reader.ended).toBe(true)
    await reader.ready()
    expect(reader.fetches).toHaveLength(1)
  })

  test('keeps a finished split in snapshots until one that covers it was acknowledged', async () => {
    const { clock, reader } = bench()
    reader.answer = (splitId) => Promise.resolve(batch(splitId, 0, 1, true))
    reader.addSplits([{ splitId: 'a', next: 0 }])
    await clock.flush()
    const last = reader.poll()
    if (last === undefined) throw new Error('nothing was fetched')
    reader.snapshotState(1)
    reader.emitted(last, 1)
    await reader.acknowledge(1, [])
    expect(reader.snapshotState(2)).toEqual([{ splitId: 'a', next: 1, finished: true }])
    // 2 ran into its timeout; late and repeated notifications of 1 change nothing.
    await reader.acknowledge(1, [])
    expect(reader.snapshotState(3)).toEqual([{ splitId: 'a', next: 1, finished: true }])
    expect(reader.status().splits).toEqual([{ splitId: 'a', position: 'finished' }])
    await reader.acknowledge(3, [])
    await reader.acknowledge(3, [])
    expect(reader.snapshotState(4)).toEqual([])
  })

  test('takes its gauges out when a split is done with and when it closes: the registry does not grow with resharding', async () => {
    const { clock, metrics, reader } = bench()
    const registered: (string | undefined)[] = []
    const gauge = metrics.gauge.bind(metrics)
    metrics.gauge = (definition, read, labels) => {
      registered.push(labels?.['split'])
      const takeOut = gauge(definition, read, labels)
      return () => {
        registered.splice(registered.indexOf(labels?.['split']), 1)
        takeOut()
      }
    }
    reader.answer = (splitId) => Promise.resolve({ ...batch(splitId, 0, 1, splitId === 'a'), delayMs: 1e9 })
    reader.addSplits(['a', 'b'].map((splitId) => ({ splitId, next: 0 })))
    await clock.flush()
    for (let polled = reader.poll(); polled !== undefined; polled = reader.poll()) reader.emitted(polled, 1)
    reader.snapshotState(1)
    expect(registered).toEqual(['a', 'b'])
    await reader.acknowledge(1, [])
    expect(registered).toEqual(['b'])
    reader.addSplits([{ splitId: 'c', next: 0 }])
    await close(clock, reader)
    reader.addSplits([{ splitId: 'd', next: 0 }])
    expect(registered).toEqual([])
    expect(reader.snapshotState(2)).toMatchObject([{ splitId: 'b' }, { splitId: 'c' }, { splitId: 'd' }])
  })

  test('lets what was fetched and not polled go when it closes', async () => {
    const { clock, reader } = bench(250, 100)
    reader.answer = (splitId) => Promise.resolve(batch(splitId, 0, 5))
    reader.addSplits([{ splitId: 'a', next: 0 }])
    await clock.flush()
    expect(reader.status()).toMatchObject({ fetchedBytes: 200, queuedRecords: 20 })
    await close(clock, reader)
    expect(reader.poll()).toBeUndefined()
    expect(reader.status()).toMatchObject({ fetchedBytes: 0, queuedRecords: 0 })
    expect(reader.snapshotState(1)).toEqual([{ splitId: 'a', next: 0 }])
  })

  test('does not read a split that was restored as finished', async () => {
    const { clock, reader } = bench()
    reader.addSplits([{ splitId: 'a', next: 9, finished: true }])
    reader.noMoreSplits()
    await clock.flush()
    expect(reader.fetches).toEqual([])
    expect(reader.ended).toBe(true)
    expect(reader.snapshotState(1)).toEqual([{ splitId: 'a', next: 9, finished: true }])
  })

  test('hands on an empty last batch: the end of a split without records is announced too', async () => {
    const { clock, reader } = bench()
    reader.answer = (splitId) => Promise.resolve(batch(splitId, 0, 0, true))
    reader.addSplits([{ splitId: 'a', next: 3 }])
    await clock.flush()
    const last = reader.poll()
    expect(last?.lastOfSplit).toBe(true)
    if (last !== undefined) reader.emitted(last, 0)
    expect(reader.snapshotState(1)).toEqual([{ splitId: 'a', next: 3, finished: true }])
  })

  test('fails the attempt when a fetch does, and names the split', async () => {
    const { clock, reader, failures } = bench()
    reader.answer = () => Promise.reject(new Error('no network'))
    reader.addSplits([{ splitId: 'a', next: 0 }])
    await clock.flush()
    expect(failures).toMatchObject([
      { code: 'SLUICE_SOURCE_FAILED', message: 'source, split a: no network', restartable: true },
    ])
  })

  test('wakes who waits for records, and who waits for the end', async () => {
    const { clock, reader } = bench()
    const answers: ((answer: Answer) => void)[] = []
    reader.answer = () => new Promise((resolve) => void answers.push(resolve))
    reader.addSplits([{ splitId: 'a', next: 0 }])
    await clock.flush()
    let woken = false
    const waiting = reader.ready().then(() => (woken = true))
    await clock.flush()
    expect(woken).toBe(false)
    answers[0]?.(batch('a', 0, 1))
    await waiting
    reader.poll()
    const ending = reader.ready()
    await close(clock, reader)
    await ending
  })

  describe('closed', () => {
    test('aborts fetches and waits for them, no longer than its deadline', async () => {
      const { clock, reader, failures } = bench()
      let signal: AbortSignal | undefined
      reader.answer = (_splitId, given) => {
        signal = given
        return new Promise(() => {})
      }
      reader.addSplits([{ splitId: 'a', next: 0 }])
      await clock.flush()
      let closed = false
      void reader.close(500).then(() => (closed = true))
      expect(signal?.aborted).toBe(true)
      await clock.advance(499)
      expect(closed).toBe(false)
      await clock.advance(1)
      expect(closed).toBe(true)
      expect(failures).toEqual([])
      expect(clock.pendingTimers).toBe(0)
    })

    test('does not take what a fetch under way still brings, and is no failure when that fails', async () => {
      const { clock, reader, failures, metrics } = bench()
      const answers: ((answer: Promise<Answer> | Answer) => void)[] = []
      reader.answer = () => new Promise((resolve) => void answers.push(resolve))
      reader.addSplits([
        { splitId: 'a', next: 0 },
        { splitId: 'b', next: 0 },
      ])
      await until(clock, () => answers.length === 2)
      const closing = reader.close(500)
      answers[0]?.(batch('a', 0, 5))
      answers[1]?.(Promise.reject(new Error('aborted')))
      await closing
      expect(reader.poll()).toBeUndefined()
      expect(failures).toEqual([])
      expect(metrics.counter(SOURCE_METRICS.numRecordsIn).value).toBe(0)
    })

    test('twice is harmless, and opens no split after', async () => {
      const { clock, reader } = bench()
      await Promise.all([reader.close(10), reader.close(10)])
      await reader.close(10)
      reader.addSplits([{ splitId: 'late', next: 4 }])
      await clock.flush()
      expect(reader.fetches).toEqual([])
      expect(reader.snapshotState(1)).toEqual([{ splitId: 'late', next: 4 }])
    })
  })
})
