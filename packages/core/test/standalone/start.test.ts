import { expect, test } from 'vitest'
import { messages, openSink, SluiceError } from '../../src/index.ts'
import { InMemorySink, InMemorySource, VirtualClock } from '../../src/testing.ts'

test('a storage that does not open ends the reading, and says so', async () => {
  const clock = new VirtualClock()
  const storage = { open: () => new Promise<never>(() => {}) }
  const reading = messages(new InMemorySource<number>(), { clock, checkpoints: { storage } })
  const first = reading.next().catch((error: unknown) => error)
  await clock.advance(120_000)
  await clock.advance(10_000)
  expect(await first).toMatchObject({
    code: 'SLUICE_DEADLINE_EXCEEDED',
    message: expect.stringContaining('opening the checkpoint storage') as string,
  })
})

test('a flush that nobody awaits is no unhandled rejection', async () => {
  const clock = new VirtualClock()
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  const sink = openSink(
    new InMemorySink<number>({ onSubmit: () => ({ fail: new SluiceError('SLUICE_SINK_FAILED', 'gone') }) }),
    { clock },
  )
  await sink.write(1)
  void sink.flush()
  for (let step = 0; step < 20; step++) await clock.advance(100)
  await expect(sink.close()).rejects.toThrow('gone')
  await new Promise(setImmediate)
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})
