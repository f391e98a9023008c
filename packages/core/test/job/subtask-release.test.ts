import { describe, expect, test } from 'vitest'
import {
  MetricRegistry,
  type RecordBatch,
  type SinkWriter,
  SOURCE_METRICS,
  type SourceReader,
  type SourceSplit,
  type WriteBatch,
} from '../../src/index.ts'
import { callSlots } from '../../src/job/call-slots.ts'
import { asyncStep, type Step } from '../../src/job/operators.ts'
import { Subtask } from '../../src/job/subtask.ts'
import { LazyGauge } from '../../src/metrics/lazy-gauge.ts'
import { WakeUp } from '../../src/runtime/signal.ts'
import { Tracker } from '../../src/tracker/tracker.ts'
import { range, until, VirtualClock } from './harness.ts'
import { LookUp } from './look-up.ts'

/** A fetch loop over one batch of split `a`, the last, and a sink that takes what it is told to. */
function stand(steps: readonly Step[], count: number) {
  const clock = new VirtualClock()
  const tracker = new Tracker()
  const woken = new WakeUp()
  const state = { room: 0, finished: [] as string[], taken: [] as unknown[], tokens: [] as number[] }
  const batches: RecordBatch<unknown>[] = [
    {
      splitId: 'a',
      values: range(count),
      byteLengths: new Uint32Array(count).fill(1),
      raw: () => undefined,
      splitAfter: () => ({ splitId: 'a' }),
      lastOfSplit: true,
    },
  ]
  const reader = {
    poll: () => batches.shift(),
    ready: () => Promise.resolve(),
    get ended() {
      return batches.length === 0
    },
    emitted: () => undefined,
    splitState: () => ({ splitId: 'a' }),
  } as unknown as SourceReader<unknown, SourceSplit>
  const writer = {
    write(batch: WriteBatch<unknown>, from: number, to: number) {
      const end = Math.min(to, from + state.room)
      state.room -= end - from
      state.taken.push(...batch.values.slice(from, end))
      state.tokens.push(...batch.tokens.subarray(from, end))
      return end
    },
    ready: () => woken.wait(),
    hasten: () => undefined,
  } as unknown as SinkWriter<unknown>
  const task = new Subtask({
    sourceUid: 'memory',
    reader,
    writers: [writer],
    tracker,
    steps,
    slots: callSlots(steps),
    clock,
    recordsEmitted: { value: 0 },
    recordErrors: { value: 0 },
    emitLag: new LazyGauge(new MetricRegistry(), SOURCE_METRICS.currentEmitEventTimeLag, {}),
    splitFinished: (splitId) => state.finished.push(splitId),
    refused: () => Promise.resolve(false),
    fail: () => undefined,
    openBarrier: () => undefined,
  })
  return { clock, tracker, task, state, woken }
}

describe('a split that is given back', () => {
  test('emits no further record of the batch in hand, and its end is not announced', async () => {
    const { clock, tracker, task, state, woken } = stand([], 1000)
    state.room = 10
    const run = task.run()
    await until(clock, () => state.taken.length === 10)
    tracker.release('a')
    state.room = 1000
    woken.wake()
    await run
    expect(tracker.next).toBe(256)
    expect(state.taken).toEqual(range(10))
    expect(tracker.returnedInputs).toBe(246)
    expect(state.finished).toEqual([])
  })

  test('gives the values in a mapAsync back instead of handing them on', async () => {
    const lookUp = new LookUp<number>()
    const steps = [asyncStep(1, lookUp.call, { concurrency: 4 })]
    const { clock, tracker, task, state } = stand(steps, 8)
    state.room = 100
    const run = task.run()
    await until(clock, () => lookUp.underWay.length === 4)
    lookUp.end(0)
    await until(clock, () => state.taken.length === 1)
    tracker.release('a')
    lookUp.open()
    await run
    expect(state.taken).toEqual([0])
    expect(tracker.returnedInputs).toBe(7)
    expect(tracker.unsettled).toBe(1)
    expect(state.finished).toEqual([])
    for (const token of state.tokens) tracker.settle(token)
    expect(tracker.unsettled).toBe(0)
  })
})
