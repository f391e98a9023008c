import { describe, expect, test } from 'vitest'
import { CheckpointCoordinator, type CoordinatorPlan } from '../../src/checkpoint/coordinator.ts'
import type { Checkpoint } from '../../src/checkpoint/storage.ts'
import { MetricRegistry, type RecordBatch, silentLogger, type SluiceError } from '../../src/index.ts'
import { VirtualClock } from '../../src/testing.ts'
import { Tracker } from '../../src/tracker/tracker.ts'
import { until } from '../job/harness.ts'

const BATCH: RecordBatch<number> = {
  splitId: '0',
  values: [],
  byteLengths: new Uint32Array(0),
  lastOfSplit: false,
  raw: () => undefined,
  splitAfter: () => ({ splitId: '0' }),
}

interface Bench {
  readonly clock: VirtualClock
  readonly tracker: Tracker
  readonly coordinator: CheckpointCoordinator
  readonly events: string[]
  readonly failures: SluiceError[]
  /** Emits inputs and gives the token of the first. */
  readonly emit: (count: number) => number
  readonly settle: (from: number, to: number) => void
}

function bench(given: Partial<CoordinatorPlan> = {}): Bench {
  const clock = new VirtualClock()
  const tracker = new Tracker()
  const events: string[] = []
  const failures: SluiceError[] = []
  const snapshot = (id: number): Checkpoint => {
    events.push(`barrier ${id}`)
    return { id, job: 'test', createdAtMs: clock.wallNow(), sources: {} }
  }
  const coordinator = new CheckpointCoordinator({
    clock,
    logger: silentLogger,
    metrics: new MetricRegistry(),
    tracker,
    intervalMs: 1000,
    minPauseMs: 0,
    timeoutMs: 600_000,
    lastId: 0,
    snapshot,
    hasten: () => void events.push('hasten'),
    acknowledge: (id) => {
      events.push(`ack ${id}`)
      return Promise.resolve()
    },
    oldest: () => 'a test',
    fail: (error) => void failures.push(error),
    store: {
      load: () => Promise.resolve(undefined),
      store: ({ id }) => {
        events.push(`store ${id}`)
        return Promise.resolve(10)
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    ...given,
  })
  return {
    clock,
    tracker,
    coordinator,
    events,
    failures,
    emit(count) {
      const first = tracker.next
      const tracked = tracker.track('source', BATCH)
      for (let index = 0; index < count; index++) tracker.emit(tracked, index, 1)
      return first
    },
    settle(from, to) {
      for (let token = from; token < to; token++) tracker.settle(token)
    },
  }
}

function storeThat(store: (checkpoint: Checkpoint) => Promise<number>): CoordinatorPlan['store'] {
  return { load: () => Promise.resolve(undefined), store, [Symbol.asyncDispose]: () => Promise.resolve() }
}

describe('the checkpoint coordinator', () => {
  test('goes from barrier over hasten, settlement and store to acknowledgement, in this order', async () => {
    const { clock, coordinator, events, emit, settle } = bench()
    coordinator.start()
    emit(3)
    await clock.advance(1000)
    expect(events).toEqual(['barrier 1', 'hasten'])
    settle(0, 2)
    await clock.flush()
    expect(events).toEqual(['barrier 1', 'hasten'])
    settle(2, 3)
    await clock.flush()
    expect(events).toEqual(['barrier 1', 'hasten', 'store 1', 'ack 1'])
    expect(coordinator.coveredUpTo).toBe(3)
    await coordinator.stop()
  })

  test('waits for nothing where its barrier is settled already, and covers no more than that', async () => {
    let watermark = 0
    const { clock, coordinator, events, emit, settle } = bench({ barrier: () => watermark })
    coordinator.start()
    emit(5)
    settle(0, 2)
    watermark = 2
    await clock.advance(1000)
    expect(events).toEqual(['barrier 1', 'hasten', 'store 1', 'ack 1'])
    expect([coordinator.coveredUpTo, coordinator.acknowledgedUpTo]).toEqual([2, 2])
    await coordinator.stop()
  })

  test('starts at each interval, counted from the start of the one before', async () => {
    const { clock, coordinator, events } = bench()
    coordinator.start()
    await clock.advance(3999)
    expect(events.filter((event) => event.startsWith('store'))).toEqual(['store 1', 'store 2', 'store 3'])
    await coordinator.stop()
    await clock.advance(10_000)
    expect(events.filter((event) => event.startsWith('store'))).toHaveLength(3)
    expect(clock.pendingTimers).toBe(0)
  })

  test('goes on with ids above those of earlier processes', async () => {
    const { clock, coordinator, events } = bench({ lastId: 41 })
    coordinator.start()
    await clock.advance(2000)
    expect(events).toContain('store 42')
    expect(events).toContain('store 43')
    await coordinator.stop()
  })

  test('starts the next minPauseMs after the one before ended, not sooner', async () => {
    const { clock, coordinator, events, emit, settle } = bench({ minPauseMs: 700 })
    coordinator.start()
    emit(1)
    await clock.advance(1000)
    await clock.advance(900)
    settle(0, 1)
    await clock.flush()
    expect(events.at(-1)).toBe('ack 1')
    await clock.advance(699)
    expect(events.at(-1)).toBe('ack 1')
    await clock.advance(1)
    expect(events).toContain('barrier 2')
    await coordinator.stop()
  })

  test('never has two open, however long one takes', async () => {
    const { clock, coordinator, events, emit } = bench()
    coordinator.start()
    emit(1)
    await clock.advance(100_000)
    coordinator.request('again')
    await clock.advance(100_000)
    expect(events).toEqual(['barrier 1', 'hasten'])
    expect(coordinator.status()).toMatchObject({ open: { id: 1, ageMs: 199_000 }, completed: 0 })
    await coordinator.stop()
  })

  test('takes a requested one at once', async () => {
    const { clock, coordinator, events } = bench()
    coordinator.start()
    await clock.advance(100)
    coordinator.request('the queue is nearly full')
    await clock.advance(0)
    expect(events).toContain('store 1')
    // The interval begins anew.
    await clock.advance(999)
    expect(events).not.toContain('store 2')
    await clock.advance(1)
    expect(events).toContain('store 2')
    await coordinator.stop()
  })

  test('takes a requested one after the pause that the one before is owed', async () => {
    const { clock, coordinator, events } = bench({ minPauseMs: 500 })
    coordinator.start()
    await clock.advance(1000)
    expect(events).toContain('store 1')
    coordinator.request('again')
    await clock.advance(499)
    expect(events).not.toContain('barrier 2')
    await clock.advance(1)
    expect(events).toContain('store 2')
    await coordinator.stop()
  })

  test('takes one that was requested while one was open as soon as that has ended', async () => {
    const { clock, coordinator, events, emit, settle } = bench()
    coordinator.start()
    emit(1)
    await clock.advance(1000)
    coordinator.request('again')
    settle(0, 1)
    await clock.advance(0)
    await clock.advance(0)
    expect(events).toContain('store 2')
    await coordinator.stop()
  })

  test('takes one that was requested before the start when it starts, not sooner', async () => {
    const { clock, coordinator, events } = bench()
    coordinator.request('early')
    await clock.advance(1000)
    expect(events).toEqual([])
    coordinator.start()
    await clock.advance(0)
    expect(events).toContain('store 1')
    await coordinator.stop()
  })

  test('gives up at the timeout, counts it, and the next one covers it', async () => {
    const { clock, coordinator, events, emit, settle, failures } = bench({ timeoutMs: 5000 })
    coordinator.start()
    emit(2)
    await clock.advance(6000)
    expect(coordinator.status()).toMatchObject({ failed: 1, completed: 0 })
    settle(0, 2)
    await clock.flush()
    expect(events.filter((event) => event.startsWith('store'))).toEqual(['store 2'])
    expect(coordinator.coveredUpTo).toBe(2)
    expect(failures).toEqual([])
    await coordinator.stop()
  })

  test('says for how long no checkpoint was completed, timeouts included', async () => {
    const { clock, coordinator, emit } = bench({ timeoutMs: 500 })
    coordinator.start()
    await clock.advance(1000)
    emit(1)
    await clock.advance(10_000)
    expect(coordinator.status().sinceCompletedMs).toBe(10_000)
    expect(coordinator.status().failed).toBeGreaterThanOrEqual(9)
    await coordinator.stop()
  })

  test('fails the attempt when the storage does, and acknowledges nothing', async () => {
    const { clock, coordinator, events, failures } = bench({
      store: storeThat(() => Promise.reject(new Error('ENOSPC'))),
    })
    coordinator.start()
    await clock.advance(1000)
    expect(failures).toMatchObject([{ code: 'SLUICE_STATE_STORAGE', restartable: true }])
    expect(events.some((event) => event.startsWith('ack'))).toBe(false)
    expect(coordinator.status()).toMatchObject({ failed: 1, completed: 0 })
    expect(coordinator.coveredUpTo).toBe(0)
    await coordinator.stop()
  })

  test('waits for a store under way when it stops, and acknowledges nothing after that', async () => {
    const gate = Promise.withResolvers<number>()
    const { clock, coordinator, events } = bench({ store: storeThat(() => gate.promise) })
    coordinator.start()
    await clock.advance(1000)
    let stopped = false
    const stop = coordinator.stop().then(() => (stopped = true))
    await clock.flush()
    expect(stopped).toBe(false)
    gate.resolve(1)
    await stop
    await clock.flush()
    expect(events.some((event) => event.startsWith('ack'))).toBe(false)
  })

  test('ends an open one when it stops, without storing it', async () => {
    const { clock, coordinator, events, emit, settle } = bench()
    coordinator.start()
    emit(1)
    await clock.advance(1000)
    await coordinator.stop()
    settle(0, 1)
    await clock.flush()
    expect(events).toEqual(['barrier 1', 'hasten'])
    expect(coordinator.status().failed).toBe(0)
  })

  describe('acknowledgement', () => {
    test('runs in the background: the next checkpoint does not wait for it', async () => {
      const { clock, coordinator, events } = bench({ acknowledge: () => new Promise(() => {}) })
      coordinator.start()
      await clock.advance(3000)
      expect(events.filter((event) => event.startsWith('store'))).toEqual(['store 1', 'store 2', 'store 3'])
      await coordinator.stop()
    })

    test('is made one at a time and for the newest', async () => {
      const acks: number[] = []
      const gates: (() => void)[] = []
      const { clock, coordinator } = bench({
        acknowledge: (id) => {
          acks.push(id)
          return new Promise((resolve) => void gates.push(resolve))
        },
      })
      coordinator.start()
      await clock.advance(5000)
      expect(acks).toEqual([1])
      gates[0]?.()
      await clock.flush()
      expect(acks).toEqual([1, 5])
      gates[1]?.()
      await clock.advance(1000)
      expect(acks).toEqual([1, 5, 6])
      await coordinator.stop()
    })

    test('that failed is repeated by the next checkpoint', async () => {
      const acks: number[] = []
      const { clock, coordinator, failures } = bench({
        acknowledge: (id) => {
          acks.push(id)
          return id === 1 ? Promise.reject(new Error('no network')) : Promise.resolve()
        },
      })
      coordinator.start()
      await clock.advance(1000)
      expect(acks).toEqual([1])
      await clock.advance(1000)
      expect(acks).toEqual([1, 2])
      expect(failures).toEqual([])
      await coordinator.stop()
    })

    test('does not follow one that was under way when it stopped', async () => {
      const acks: number[] = []
      const gate = Promise.withResolvers<void>()
      const { clock, coordinator } = bench({
        acknowledge: (id) => {
          acks.push(id)
          return gate.promise
        },
      })
      coordinator.start()
      await clock.advance(2000)
      await coordinator.stop()
      gate.resolve()
      await clock.flush()
      expect(acks).toEqual([1])
    })
  })

  describe('the final checkpoint', () => {
    test('follows an open one, covers everything, has no timeout, and is acknowledged before it resolves', async () => {
      const { clock, coordinator, events, emit, settle } = bench({ timeoutMs: 5000 })
      coordinator.start()
      emit(1)
      await clock.advance(1000)
      emit(1)
      let done = false
      const final = coordinator.takeFinal().then(() => (done = true))
      await clock.advance(100)
      expect(events).toEqual(['barrier 1', 'hasten'])
      settle(0, 1)
      await until(clock, () => events.includes('barrier 2'))
      await clock.advance(1_000_000)
      expect(done).toBe(false)
      settle(1, 2)
      await final
      expect(events.slice(-2)).toEqual(['store 2', 'ack 2'])
      expect(coordinator.coveredUpTo).toBe(2)
      await coordinator.stop()
      expect(clock.pendingTimers).toBe(0)
    })

    test('resolves when the coordinator is stopped', async () => {
      const { clock, coordinator, events, emit } = bench()
      emit(1)
      const final = coordinator.takeFinal()
      await clock.flush()
      await coordinator.stop()
      await final
      expect(events).toEqual(['barrier 1', 'hasten'])
    })
  })

  describe('while splits are given back', () => {
    test('gives up the open one, and begins the next when all releases have ended', async () => {
      const { clock, coordinator, events, emit, settle } = bench()
      coordinator.start()
      emit(1)
      await clock.advance(1000)
      expect(coordinator.openBarrier).toBe(1)
      const first = coordinator.hold(true)
      const second = coordinator.hold(false)
      settle(0, 1)
      await clock.advance(3000)
      expect(events).toEqual(['barrier 1', 'hasten'])
      first()
      await clock.advance(3000)
      expect(coordinator.openBarrier).toBeUndefined()
      second()
      await clock.advance(0)
      expect(events.slice(2)).toEqual(['barrier 2', 'hasten', 'store 2', 'ack 2'])
      expect(coordinator.status()).toMatchObject({ completed: 1, failed: 0 })
      await coordinator.stop()
      expect(clock.pendingTimers).toBe(0)
    })

    test('lets the open one go on when nothing in hand is returned, and stores what is settled', async () => {
      const { clock, coordinator, events, emit, settle } = bench()
      coordinator.start()
      emit(1)
      await clock.advance(1000)
      const letGo = coordinator.hold(false)
      settle(0, 1)
      await clock.flush()
      expect(events.slice(2)).toEqual(['store 1', 'ack 1'])
      letGo()
      await clock.advance(0)
      expect(events).toHaveLength(4)
      await coordinator.stop()
    })

    test('begins none that is asked for, nor one whose interval is over', async () => {
      const { clock, coordinator, events } = bench()
      coordinator.start()
      const letGo = coordinator.hold(true)
      coordinator.request('a test')
      await clock.advance(2500)
      expect(events).toEqual([])
      letGo()
      await clock.advance(0)
      expect(events).toEqual(['barrier 1', 'hasten', 'store 1', 'ack 1'])
      await coordinator.stop()
    })

    test('takes no final one; then one, and no other after it', async () => {
      const { clock, coordinator, events, emit, settle } = bench()
      coordinator.start()
      emit(1)
      const letGo = coordinator.hold(true)
      coordinator.request('a test')
      let done = false
      const final = coordinator.takeFinal().then(() => (done = true))
      await clock.advance(100)
      expect([done, events.length]).toEqual([false, 0])
      letGo()
      await clock.advance(0)
      expect(events).toEqual(['barrier 1', 'hasten'])
      settle(0, 1)
      await final
      await clock.advance(100_000)
      expect(events).toEqual(['barrier 1', 'hasten', 'store 1', 'ack 1'])
      await coordinator.stop()
    })

    test('takes the final one again when it is given up', async () => {
      const { clock, coordinator, events, emit, settle } = bench()
      emit(2)
      const final = coordinator.takeFinal()
      await clock.flush()
      const letGo = coordinator.hold(true)
      settle(0, 2)
      await clock.flush()
      expect(events).toEqual(['barrier 1', 'hasten'])
      letGo()
      await final
      expect(events.slice(2)).toEqual(['barrier 2', 'hasten', 'store 2', 'ack 2'])
      await coordinator.stop()
    })

    test('a stop ends the wait for a final one', async () => {
      const { coordinator, events } = bench()
      coordinator.hold(true)
      const final = coordinator.takeFinal()
      await coordinator.stop()
      await final
      expect(events).toEqual([])
    })
  })

  test('the final one fails with the source when it did not take the last acknowledgement', async () => {
    let fails = true
    const { coordinator } = bench({
      acknowledge: () => (fails ? Promise.reject(new Error('no quorum')) : Promise.resolve()),
    })
    await expect(coordinator.takeFinal()).rejects.toMatchObject({ code: 'SLUICE_SOURCE_FAILED', restartable: true })
    fails = false
    await coordinator.takeFinal()
    await coordinator.stop()
  })

  test('an acknowledgement without an answer ends at the timeout', async () => {
    const { clock, coordinator } = bench({ timeoutMs: 5000, acknowledge: () => new Promise(() => {}) })
    const final = coordinator.takeFinal().catch((error: unknown) => String(error))
    await clock.advance(4999)
    await clock.advance(1)
    expect(await final).toContain('no answer within 5000 ms (checkpoints.timeoutMs)')
    await coordinator.stop()
    expect(clock.pendingTimers).toBe(0)
  })
})
