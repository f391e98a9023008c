import { expect, test } from 'vitest'
import { fixedDelayRestart, SluiceError } from '../../src/index.ts'
import { InMemorySink, InMemorySource, never, range, settled, start, until, VirtualClock } from './harness.ts'

test('what an attempt had written and no checkpoint covers is told as repeated, also before it is read again', async () => {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  source.push('0', ...range(3))
  const create = source.createEnumerator.bind(source)
  let attempts = 0
  source.createEnumerator = (context, restored) => {
    const enumerator = create(context, restored)
    return attempts++ === 0 ? enumerator : { ...enumerator, start: () => never() }
  }
  const sink = new InMemorySink<number>({ maxTimeInBufferMS: 5 })
  const job = start(source, sink, clock, { restart: fixedDelayRestart({ attempts: 1, delayMs: 10 }) })
  await until(clock, () => sink.stored.length === 3, 5)
  source.failNextFetch(new SluiceError('SLUICE_SOURCE_FAILED', 'cut', { restartable: true }))
  await until(clock, () => job.status().restarts === 1, 5)
  expect(job.status().emitted).toBe(0)
  expect(job.status().repeatIfKilledNow).toBe(3)
  await settled(clock, job.close())
})

test('an acknowledgement that ignores its end leaves no timer', async () => {
  const clock = new VirtualClock()
  class Deaf extends InMemorySource<number> {
    override createReader(context: Parameters<InMemorySource<number>['createReader']>[0]) {
      return Object.assign(super.createReader(context), {
        acknowledge: (id: number) => (id > 1 ? never() : Promise.resolve()),
      })
    }
  }
  const source = new Deaf()
  source.push('0', 1)
  const job = start(source, new InMemorySink<number>(), clock, { checkpoints: { intervalMs: 100 } })
  await until(clock, () => (job.status().checkpoints?.completed ?? 0) >= 2, 50)
  await settled(clock, job.close())
  expect(clock.pendingTimers).toBe(0)
})
