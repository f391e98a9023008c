import { expect, test } from 'vitest'
import { memoryCheckpoints } from '../../src/index.ts'
import { ended, Gate, InMemorySink, InMemorySource, range, settled, start, until, VirtualClock } from './harness.ts'

test('a drain inside a batch stores the position after what was emitted: nothing is repeated', async () => {
  const clock = new VirtualClock()
  const storage = memoryCheckpoints()
  const source = new InMemorySource<number>({ maxBatchSize: 1000 })
  source.push('0', ...range(1000))
  const gate = new Gate()
  const sink = new InMemorySink<number>({ onSubmit: gate.pass })
  const job = start(source, sink, clock, { checkpoints: { storage } })
  await until(clock, () => job.status().emitted > 0)
  expect(job.status().emitted).toBeLessThan(1000)
  const end = job.drain()
  gate.open()
  expect(await settled(clock, end)).toMatchObject({ how: 'drained', unsettled: 0 })
  source.end()
  await ended(clock, start(source, sink, clock, { checkpoints: { storage } }))
  expect(sink.stored.toSorted((a, b) => a - b)).toEqual(range(1000))
})
