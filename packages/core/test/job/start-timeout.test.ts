import { expect, test } from 'vitest'
import { fixedDelayRestart, type JobOptions, SPI_VERSION, type SinkWriter } from '../../src/index.ts'
import {
  ended,
  failure,
  InMemorySink,
  InMemorySource,
  never,
  settled,
  spiedStorage,
  start,
  until,
  VirtualClock,
} from './harness.ts'

const SHORT: Partial<JobOptions> = { startTimeoutMs: 1000 }

test('a storage that does not open ends the job, and one that opens later is given back', async () => {
  const clock = new VirtualClock()
  const inner = spiedStorage()
  const gate = Promise.withResolvers<void>()
  let disposed = false
  const storage = {
    open: async (...parameters: Parameters<typeof inner.open>) => {
      await gate.promise
      const store = await inner.open(...parameters)
      const dispose = store[Symbol.asyncDispose].bind(store)
      store[Symbol.asyncDispose] = () => {
        disposed = true
        return dispose()
      }
      return store
    },
  }
  const job = start(new InMemorySource<number>(), new InMemorySink<number>(), clock, {
    ...SHORT,
    checkpoints: { storage },
  })
  const error = await failure(clock, job.done)
  expect(error.code).toBe('SLUICE_DEADLINE_EXCEEDED')
  expect(error.message).toBe('opening the checkpoint storage did not end within 1000 ms (startTimeoutMs)')
  gate.resolve()
  await until(clock, () => disposed)
})

test('a checkpoint that is not loaded, a writer that is not made, splits that are not found: each is named, and restarted', async () => {
  const clock = new VirtualClock()
  const storage = spiedStorage()
  const open = storage.open.bind(storage)
  const hangs = new Set(['load', 'writer', 'splits'])
  storage.open = async (...given) => {
    const store = await open(...given)
    const load = store.load.bind(store)
    store.load = () => (hangs.has('load') ? never() : load())
    return store
  }
  const source = new InMemorySource<number>()
  const create = source.createEnumerator.bind(source)
  source.createEnumerator = (context, restored) => {
    const enumerator = create(context, restored)
    const begin = enumerator.start.bind(enumerator)
    return { ...enumerator, start: () => (hangs.has('splits') ? never() : begin()) }
  }
  const inner = new InMemorySink<number>()
  const writing = inner.createWriter.bind(inner)
  const sink = Object.assign(Object.create(inner) as InMemorySink<number>, {
    createWriter: (context: Parameters<typeof writing>[0]): Promise<SinkWriter<number>> | SinkWriter<number> =>
      hangs.has('writer') ? never() : writing(context),
  })
  expect(sink.spiVersion).toBe(SPI_VERSION)
  const job = start(source, sink, clock, {
    ...SHORT,
    checkpoints: { storage },
    restart: fixedDelayRestart({ attempts: 10, delayMs: 10 }),
  })
  const steps: [string, string][] = [
    ['load', 'loading the newest checkpoint'],
    ['writer', "making the writer of sink 'memory'"],
    ['splits', "finding the splits of source 'memory'"],
  ]
  for (const [part, words] of steps) {
    await until(clock, () => job.status().lastError?.message.startsWith(words) === true, 100)
    hangs.delete(part)
  }
  await until(clock, () => job.status().state === 'running', 100)
  source.push('0', 1)
  source.end()
  expect(await settled(clock, job.done)).toMatchObject({ how: 'finished', unsettled: 0 })
  expect(job.status().restarts).toBeGreaterThanOrEqual(3)
  expect(clock.pendingTimers).toBe(0)
  await ended(clock, job)
})
