import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ReadableStream, TransformStream } from 'node:stream/web'
import { describe, expect, test } from 'vitest'
import {
  ALL_WRITTEN,
  type DeadLetter,
  fixedDelayRestart,
  noRestart,
  openSink,
  SluiceError,
  type SubmitOutcome,
  toWritable,
  toWritableStream,
} from '../../src/index.ts'
import { InMemorySink, VirtualClock } from '../../src/testing.ts'
import { Gate, range, settled, until } from '../job/harness.ts'
import { rejection } from './harness.ts'

const DOWN = new SluiceError('SLUICE_SINK_FAILED', 'the store is down', { restartable: true })

/** Refuses the odd values. */
function refusingOdd(batch: { readonly entries: readonly number[] }): SubmitOutcome {
  return {
    entries: batch.entries.map((value) =>
      value % 2 === 1 ? { kind: 'refuse', reason: { code: 'odd', message: 'odd' } } : { kind: 'written' },
    ),
  }
}

/** What the options are told to be wrong. */
function problemsOf(made: () => unknown): readonly string[] {
  try {
    made()
  } catch (error) {
    if (SluiceError.isInstance(error)) return error.facts['problems'] as readonly string[]
  }
  throw new Error('the options are taken')
}

describe('openSink', () => {
  test('flush sends partial batches at once and resolves when the store has confirmed', async () => {
    const clock = new VirtualClock()
    const gate = new Gate()
    const store = new InMemorySink<number>({ onSubmit: gate.pass, maxTimeInBufferMS: 600_000 })
    const sink = openSink(store, { clock })
    for (const value of range(25)) expect(sink.write(value)).toBeUndefined()
    let flushed = false
    void sink.flush().then(() => (flushed = true))
    await until(clock, () => gate.waiting === 2)
    gate.one()
    await clock.advance(0)
    expect(flushed).toBe(false)
    gate.open()
    await until(clock, () => flushed)
    expect(clock.now()).toBe(0)
    expect(store.stored.toSorted((a, b) => a - b)).toEqual(range(25))
    await settled(clock, sink.close())
    expect(clock.pendingTimers).toBe(0)
  })

  test('flush does not wait for what is written after it', async () => {
    const clock = new VirtualClock()
    const gate = new Gate()
    const store = new InMemorySink<number>({ onSubmit: gate.pass, maxBatchSize: 1, maxInFlightRequests: 1 })
    const sink = openSink(store, { clock })
    void sink.write(0)
    const flushed = sink.flush()
    void sink.write(1)
    await until(clock, () => gate.waiting === 1)
    gate.one()
    await settled(clock, flushed, 0)
    expect(store.stored).toEqual([0])
    gate.open()
    await settled(clock, sink.close())
    expect(store.stored).toEqual([0, 1])
  })

  test('write asks to wait at maxUnsettled, until something is settled', async () => {
    const clock = new VirtualClock()
    const gate = new Gate()
    const store = new InMemorySink<number>({ onSubmit: gate.pass, maxBatchSize: 1, maxInFlightRequests: 1 })
    const sink = openSink(store, { clock, maxUnsettled: 3 })
    expect(sink.write(0)).toBeUndefined()
    expect(sink.write(1)).toBeUndefined()
    let room = false
    void sink.write(2)?.then(() => (room = true))
    await until(clock, () => gate.waiting === 1)
    await clock.advance(5000)
    expect(room).toBe(false)
    gate.one()
    await until(clock, () => room)
    gate.open()
    await settled(clock, sink.close())
    expect(store.stored).toEqual([0, 1, 2])
  })

  test('a refused value ends it, and write, flush and close reject with the refusal', async () => {
    const clock = new VirtualClock()
    const store = new InMemorySink<number>({ onSubmit: refusingOdd })
    const sink = openSink(store, { clock })
    for (const value of range(4)) void sink.write(value)
    const error = await rejection(clock, sink.flush())
    expect(error).toMatchObject({ code: 'SLUICE_RECORD_REFUSED', message: expect.stringContaining('odd') })
    await expect(sink.write(5)).rejects.toBe(error)
    await expect(sink.flush()).rejects.toBe(error)
    await expect(sink.close()).rejects.toBe(error)
    await expect(sink.done).rejects.toBe(error)
    expect(clock.pendingTimers).toBe(0)
  })

  test('with dead letters a refused value is theirs, and the rest goes on', async () => {
    const clock = new VirtualClock()
    const letters: DeadLetter[] = []
    const deadLetters = { deliver: (letter: DeadLetter) => Promise.resolve(void letters.push(letter)) }
    const store = new InMemorySink<number>({ onSubmit: refusingOdd })
    const sink = openSink(store, { clock, deadLetters })
    for (const value of range(10)) void sink.write(value)
    await settled(clock, sink.flush())
    expect(store.stored).toEqual([0, 2, 4, 6, 8])
    expect(letters.map(({ entry }) => entry)).toEqual([1, 3, 5, 7, 9])
    await settled(clock, sink.close())
  })

  test('after a restartable failure everything unsettled is written again, in order', async () => {
    const clock = new VirtualClock()
    let failures = 2
    const store = new InMemorySink<number>({
      maxInFlightRequests: 1,
      onSubmit: (batch) => (batch.entries.includes(13) && failures-- > 0 ? { fail: DOWN } : ALL_WRITTEN),
    })
    const sink = openSink(store, { clock, restart: fixedDelayRestart({ attempts: 5, delayMs: 1000 }) })
    for (const value of range(30)) void sink.write(value)
    await settled(clock, sink.flush())
    expect(store.stored).toEqual(range(30))
    void sink.write(30)
    await settled(clock, sink.close())
    expect(store.stored).toEqual(range(31))
    expect(sink.status().restarts).toBe(2)
  })

  test('a failure that is not repeated rejects whoever waits', async () => {
    const clock = new VirtualClock()
    const store = new InMemorySink<number>({ onSubmit: () => ({ fail: DOWN }) })
    const sink = openSink(store, { clock, restart: noRestart(), maxUnsettled: 1 })
    const waiting = sink.write(1)
    const error = await rejection(clock, Promise.resolve(waiting))
    expect(error).toBe(DOWN)
    await expect(settled(clock, sink.flush())).rejects.toBe(DOWN)
    expect(clock.pendingTimers).toBe(0)
  })

  test('close tells when it had to give up', async () => {
    const clock = new VirtualClock()
    const gate = new Gate()
    const sink = openSink(new InMemorySink<number>({ onSubmit: gate.pass }), { clock, closeDeadlineMs: 2000 })
    for (const value of range(5)) void sink.write(value)
    const error = await rejection(clock, sink.close())
    expect(error).toMatchObject({ code: 'SLUICE_DEADLINE_EXCEEDED', facts: { unsettled: 5 } })
    expect(clock.pendingTimers).toBe(0)
  })

  test('abort ends at once, and flush then rejects', async () => {
    const clock = new VirtualClock()
    const gate = new Gate()
    const sink = openSink(new InMemorySink<number>({ onSubmit: gate.pass }), { clock })
    void sink.write(1)
    const flushed = rejection(clock, sink.flush())
    await clock.advance(10)
    await settled(clock, sink.abort())
    expect((await flushed).code).toBe('SLUICE_CLOSED')
    await expect(sink.write(2)).rejects.toMatchObject({ code: 'SLUICE_CLOSED' })
  })

  test('the end of an await using scope writes everything, and throws what went wrong', async () => {
    const clock = new VirtualClock()
    const store = new InMemorySink<number>({ onSubmit: refusingOdd })
    const scope = async (values: readonly number[]): Promise<void> => {
      await using sink = openSink(store, { clock })
      for (const value of values) await sink.write(value)
    }
    await settled(clock, scope([0, 2]))
    expect(store.stored).toEqual([0, 2])
    expect((await rejection(clock, scope([4, 5]))).code).toBe('SLUICE_RECORD_REFUSED')
  })

  test('the options are checked all at once', () => {
    const store = new InMemorySink<number>()
    const bad = {
      maxUnsettled: 0,
      closeDeadlineMs: -1,
      name: 5,
      restartGraceMs: -1,
      logger: 4,
      clock: {},
      metrics: 2,
      restart: 1,
      random: 7,
      deadLetters: 3,
      deadLetterRetry: { maxAttempts: 0 },
      maxDeadLetterRatio: 2,
      retry: 6,
    }
    const [unknown, ...problems] = problemsOf(() => openSink(store, bad as never))
    expect(unknown).toMatch(/^unknown option 'retry'/)
    const named = problems.map((problem) => /^\w+/.exec(problem)?.[0])
    expect(new Set(named)).toStrictEqual(new Set(Object.keys(bad).slice(0, -1)))
  })
})

describe('toWritable', () => {
  test('is the end of a pipeline, which resolves when the store has confirmed all', async () => {
    const store = new InMemorySink<number>({ maxTimeInBufferMS: 600_000 })
    const doubling = new Transform({
      objectMode: true,
      transform: (value: number, _encoding, callback) => callback(null, value * 2),
    })
    await pipeline(Readable.from(range(1003)), doubling, toWritable(store, { maxUnsettled: 100 }))
    expect(store.stored.toSorted((a, b) => a - b)).toEqual(range(1003).map((value) => value * 2))
  })

  test('slows its producer down', async () => {
    const gate = new Gate()
    const store = new InMemorySink<number>({ onSubmit: gate.pass })
    let produced = 0
    const source = Readable.from(
      (function* () {
        for (; produced < 1000; produced++) yield produced
      })(),
      { highWaterMark: 1 },
    )
    const piped = pipeline(source, toWritable(store, { maxUnsettled: 100 }))
    await until(new VirtualClock(), () => gate.waiting === 2)
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(produced).toBeLessThan(150)
    gate.open()
    await piped
    expect(store.stored).toHaveLength(1000)
  })

  test('a refusal fails the pipeline', async () => {
    const store = new InMemorySink<number>({ onSubmit: refusingOdd })
    const piped = pipeline(Readable.from(range(5)), toWritable(store))
    await expect(piped).rejects.toMatchObject({ code: 'SLUICE_RECORD_REFUSED' })
  })

  test('a producer that fails ends the sink', async () => {
    const clock = new VirtualClock()
    const gate = new Gate()
    const failing = Readable.from(
      (function* () {
        yield 1
        throw new Error('mine')
      })(),
    )
    const piped = pipeline(failing, toWritable(new InMemorySink<number>({ onSubmit: gate.pass }), { clock }))
    await expect(settled(clock, piped)).rejects.toThrow('mine')
    await clock.advance(10_000)
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('toWritableStream', () => {
  test('is the end of a web pipeline', async () => {
    const store = new InMemorySink<number>({ maxTimeInBufferMS: 600_000 })
    const doubling = new TransformStream<number, number>({
      transform: (value, controller) => controller.enqueue(value * 2),
    })
    await ReadableStream.from(range(503))
      .pipeThrough(doubling)
      .pipeTo(toWritableStream(store, { maxUnsettled: 50 }))
    expect(store.stored.toSorted((a, b) => a - b)).toEqual(range(503).map((value) => value * 2))
  })

  test('a refusal errors it, and abort gives up', async () => {
    const store = new InMemorySink<number>({ onSubmit: refusingOdd })
    const piped = ReadableStream.from(range(5)).pipeTo(toWritableStream(store))
    await expect(piped).rejects.toMatchObject({ code: 'SLUICE_RECORD_REFUSED' })
    const clock = new VirtualClock()
    const gate = new Gate()
    const writer = toWritableStream(new InMemorySink<number>({ onSubmit: gate.pass }), { clock }).getWriter()
    await settled(clock, writer.write(1))
    await settled(clock, writer.abort(new Error('mine')))
    await clock.advance(10_000)
    expect(clock.pendingTimers).toBe(0)
  })
})
