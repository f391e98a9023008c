import { expect, test } from 'vitest'
import { InMemorySink, InMemorySource, range, start, until, VirtualClock } from './harness.ts'

test('the status says how fast records are emitted and written', async () => {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  const sink = new InMemorySink<number>({ uid: 'store', maxTimeInBufferMS: 10 })
  const job = start(source, sink, clock)
  source.push('0', ...range(40))
  await until(clock, () => job.status().emitted === 40)
  await clock.advance(10_000)
  expect(job.status().rates).toEqual({ emittedPerSecond: 4, writtenPerSecond: { store: 4 } })
  await clock.advance(90_000)
  expect(job.status().rates).toEqual({ emittedPerSecond: 0, writtenPerSecond: { store: 0 } })
  await job.close()
})
