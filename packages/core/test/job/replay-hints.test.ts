import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  type CheckpointStorage,
  fileCheckpoints,
  fixedDelayRestart,
  memoryCheckpoints,
  type Sink,
  SluiceError,
} from '../../src/index.ts'
import { decodeHint, encodeHint } from '../../src/checkpoint/hint.ts'
import {
  ALL_WRITTEN,
  ended,
  folder,
  InMemorySink,
  InMemorySource,
  range,
  recorder,
  start,
  until,
  VirtualClock,
} from './harness.ts'

/** Notes of each request which values it had and whether it was said to be a repeat. */
function suspicious(): { readonly sink: InMemorySink<number>; readonly suspects: Map<number, boolean> } {
  const suspects = new Map<number, boolean>()
  const sink = new InMemorySink<number>({
    maxBatchSize: 1,
    maxInFlightRequests: 10,
    onSubmit: ({ entries }, context) => {
      for (const value of entries) suspects.set(value, context.replaySuspect)
      return ALL_WRITTEN
    },
  })
  return { sink, suspects }
}

function sourceOf(values: readonly number[], isBounded: boolean): InMemorySource<number> {
  const source = new InMemorySource<number>({ splits: ['a'], maxBatchSize: 10 })
  source.push('a', ...values)
  if (isBounded) source.end()
  return source
}

/** A process that emits `count` values, stores no further checkpoint, and is gone. */
async function killedAfter(storage: CheckpointStorage, count: number): Promise<void> {
  const clock = new VirtualClock()
  const source = sourceOf(range(count), false)
  const { sink } = suspicious()
  const job = start(source, sink, clock, { checkpoints: { storage } })
  await until(clock, () => sink.stored.length === count, 10)
  await clock.advance(1_500)
  expect(job.status().repeatIfKilledNow).toBe(count)
}

test('after a kill what had been emitted is suspected to be a repeat, and not much more', async () => {
  const storage = memoryCheckpoints()
  await killedAfter(storage, 30)
  const clock = new VirtualClock()
  const { sink, suspects } = suspicious()
  const job = start(sourceOf(range(3000), true), sink, clock, { checkpoints: { storage } })
  await ended(clock, job)
  expect(range(30).every((value) => suspects.get(value) === true)).toBe(true)
  // As many as may have been emitted since the last note, 1000 at least.
  expect([...suspects.values()].filter((suspect) => suspect)).toHaveLength(1030)
  expect(suspects.get(1030)).toBe(false)
})

test('a first start, and a start after an end with nothing left, suspect nothing', async () => {
  const storage = memoryCheckpoints()
  const source = sourceOf([], false)
  for (const from of [0, 20]) {
    source.push('a', ...range(20, from))
    const clock = new VirtualClock()
    const { sink, suspects } = suspicious()
    const job = start(source, sink, clock, { checkpoints: { storage } })
    await clock.advance(2_000)
    void job.drain()
    await ended(clock, job)
    expect([...suspects]).toEqual(range(20, from).map((value) => [value, false]))
  }
})

test('a restart within the process suspects exactly what was emitted since the checkpoint', async () => {
  const clock = new VirtualClock()
  let isBroken = true
  const suspects = new Map<number, boolean[]>()
  const sink = new InMemorySink<number>({
    maxBatchSize: 1,
    maxInFlightRequests: 10,
    onSubmit: ({ entries }, { replaySuspect }) => {
      for (const value of entries) suspects.set(value, [...(suspects.get(value) ?? []), replaySuspect])
      if (!isBroken || entries[0] !== 19) return ALL_WRITTEN
      isBroken = false
      return { fail: new SluiceError('SLUICE_SINK_FAILED', 'broken', { restartable: true }) }
    },
  })
  const source = sourceOf(range(40), true)
  const job = start(source, sink, clock, { restart: fixedDelayRestart({ attempts: 3, delayMs: 10 }) })
  await ended(clock, job)
  expect(job.status().restarts).toBe(1)
  const emittedBefore = [...suspects].filter(([, list]) => list.length === 2)
  expect(emittedBefore.length).toBeGreaterThanOrEqual(20)
  expect(emittedBefore.every(([, list]) => list[1] === true)).toBe(true)
  const neverSent = [...suspects].filter(([, list]) => list.length === 1)
  // A record may have been emitted and not sent when the attempt ended.
  expect(neverSent.at(-1)?.[1]).toEqual([false])
})

test('what was emitted before two failures is suspected after the second too, however early that one came', async () => {
  const clock = new VirtualClock()
  let attempts = 0
  const suspects = new Map<number, boolean[]>()
  const inner = new InMemorySink<number>({
    maxBatchSize: 1,
    maxInFlightRequests: 10,
    onSubmit: ({ entries }, { replaySuspect }) => {
      for (const value of entries) suspects.set(value, [...(suspects.get(value) ?? []), replaySuspect])
      if (attempts > 1 || entries[0] !== 19) return ALL_WRITTEN
      return { fail: new SluiceError('SLUICE_SINK_FAILED', 'broken', { restartable: true }) }
    },
  })
  const sink: Sink<number> = {
    spiVersion: inner.spiVersion,
    uid: inner.uid,
    repeats: inner.repeats,
    createWriter: (context) => {
      attempts++
      if (attempts === 2) throw new SluiceError('SLUICE_SINK_FAILED', 'not yet', { restartable: true })
      return inner.createWriter(context)
    },
  }
  const job = start(sourceOf(range(20), true), sink, clock, {
    restart: fixedDelayRestart({ attempts: 5, delayMs: 10 }),
  })
  await ended(clock, job)
  expect(job.status().restarts).toBe(2)
  expect([...suspects.values()].every((list) => list.length === 2 && list[1] === true)).toBe(true)
})

test('a note that was made after a checkpoint that is not there any more makes the whole split suspect', async () => {
  const storage = memoryCheckpoints()
  await killedAfter(storage, 5)
  const store = await storage.open('test', recorder().logger)
  await store.storeHint?.({ checkpointId: 99, emitted: { a: 1 } })
  const clock = new VirtualClock()
  const { sink, suspects } = suspicious()
  await ended(clock, start(sourceOf(range(40), true), sink, clock, { checkpoints: { storage } }))
  expect([...suspects.values()]).toEqual(range(40).map(() => true))
})

test('records stop being suspect once as many checkpoints were made as had been lost', async () => {
  const storage = memoryCheckpoints()
  await killedAfter(storage, 5)
  const store = await storage.open('test', recorder().logger)
  await store.storeHint?.({ checkpointId: 3, emitted: { a: 1 } })
  const clock = new VirtualClock()
  const { sink, suspects } = suspicious()
  const source = sourceOf(range(10), false)
  const job = start(source, sink, clock, { checkpoints: { storage, intervalMs: 1000 } })
  await until(clock, () => (job.status().checkpoints?.last?.id ?? 0) >= 3, 100)
  source.push('a', 10)
  await clock.advance(2_000)
  source.push('a', 11)
  await until(clock, () => suspects.has(11), 100)
  expect([suspects.get(9), suspects.get(11)]).toEqual([true, false])
  void job.drain()
  await ended(clock, job)
})

test('the note lies beside the checkpoints, is made at most once a second, and only when something was emitted', async () => {
  const state = folder()
  const clock = new VirtualClock()
  const source = sourceOf(range(10), false)
  const { sink } = suspicious()
  const job = start(source, sink, clock, { checkpoints: { storage: fileCheckpoints(state) } })
  await until(clock, () => sink.stored.length === 10, 10)
  const file = join(state, 'test', 'emitted.json')
  await until(clock, () => existsSync(file) && decodeHint(readFileSync(file, 'utf8'))?.emitted['a'] === 1010, 100)
  writeFileSync(file, 'as it was')
  await clock.advance(5_000)
  expect(readFileSync(file, 'utf8')).toBe('as it was')
  void job.drain()
  await ended(clock, job, 0)
  expect(decodeHint(readFileSync(file, 'utf8'))).toEqual({ checkpointId: 2, emitted: { a: 0 } })
})

test('a split that was read to its end and stored is noted no more', async () => {
  const state = folder()
  const clock = new VirtualClock()
  const source = new InMemorySource<number>({ splits: ['a', 'b'] })
  source.push('a', ...range(5))
  source.push('b', ...range(5, 5))
  source.endSplit('a')
  const { sink } = suspicious()
  const job = start(source, sink, clock, { checkpoints: { storage: fileCheckpoints(state), intervalMs: 1000 } })
  const file = join(state, 'test', 'emitted.json')
  const noted = (): string[] =>
    existsSync(file) ? Object.keys(decodeHint(readFileSync(file, 'utf8'))?.emitted ?? {}) : []
  await until(clock, () => sink.stored.length === 10, 10)
  await until(clock, () => noted().length === 2, 10)
  const stored = job.status().checkpoints?.last?.id ?? 0
  await until(clock, () => (job.status().checkpoints?.last?.id ?? 0) > stored + 1, 100)
  source.push('b', 10)
  await until(clock, () => noted().length === 1, 100)
  expect(noted()).toEqual(['b'])
  void job.drain()
  await ended(clock, job, 0)
})

test('after the loss of a checkpoint also splits that the note does not have are suspect', async () => {
  const storage = memoryCheckpoints()
  await killedAfter(storage, 5)
  const store = await storage.open('test', recorder().logger)
  await store.storeHint?.({ checkpointId: 99, emitted: {} })
  const clock = new VirtualClock()
  const { sink, suspects } = suspicious()
  await ended(clock, start(sourceOf(range(5), true), sink, clock, { checkpoints: { storage } }))
  expect([...suspects.values()]).toEqual(range(5).map(() => true))
})

test('a note that cannot be read or written costs one warning and nothing else', async () => {
  const { lines, logger } = recorder()
  const inner = memoryCheckpoints()
  const storage: CheckpointStorage = {
    async open(job, log) {
      const store = await inner.open(job, log)
      return {
        load: () => store.load(),
        store: (checkpoint) => store.store(checkpoint),
        storeHint: () => Promise.reject(new Error('disk full')),
        loadHint: () => Promise.reject(new Error('no rights')),
        [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
      }
    },
  }
  const clock = new VirtualClock()
  const { sink } = suspicious()
  const job = start(sourceOf(range(10), true), sink, clock, {
    logger,
    checkpoints: { storage },
  })
  expect((await ended(clock, job)).how).toBe('finished')
  expect(lines.filter(({ message }) => message.includes('How far records were emitted'))).toHaveLength(1)
})

test.each([
  ['', undefined],
  ['{', undefined],
  ['null', undefined],
  ['{"format":2,"checkpointId":1,"emitted":{}}', undefined],
  ['{"format":1,"checkpointId":-1,"emitted":{}}', undefined],
  ['{"format":1,"checkpointId":1,"emitted":null}', undefined],
  ['{"format":1,"checkpointId":1,"emitted":{"a":5,"b":"5","c":-1}}', { checkpointId: 1, emitted: { a: 5 } }],
  [encodeHint({ checkpointId: 3, emitted: { 'shard-0': 7 } }), { checkpointId: 3, emitted: { 'shard-0': 7 } }],
])('a note %j is read as %j', (text, hint) => {
  expect(decodeHint(text)).toEqual(hint)
})
