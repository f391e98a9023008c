import { describe, expect, test } from 'vitest'
import { type EnumeratorContext, memoryCheckpoints, type MessagesOptions, type ReleaseHow } from '../../src/index.ts'
import { InMemorySource, type MemorySplit, VirtualClock } from '../../src/testing.ts'
import { range, recorder, settled, spiedStorage } from '../job/harness.ts'
import { pull, reading } from './harness.ts'

/** A source whose enumerator takes splits when the test says so. */
class Releasing extends InMemorySource<number> {
  context: EnumeratorContext<MemorySplit> | undefined

  override createEnumerator(
    ...[context, restored]: Parameters<InMemorySource<number>['createEnumerator']>
  ): ReturnType<InMemorySource<number>['createEnumerator']> {
    this.context = context
    return super.createEnumerator(context, restored)
  }

  release(how: ReleaseHow, deadlineMs: number): Promise<readonly MemorySplit[]> {
    return this.context?.release(['0'], how, deadlineMs) ?? Promise.resolve([])
  }
}

async function stand(count: number, given: MessagesOptions = {}) {
  const clock = new VirtualClock()
  const source = new Releasing()
  source.push('0', ...range(20))
  const read = reading(source, { checkpoints: { storage: memoryCheckpoints() }, ...given, clock })
  return { clock, source, read, pulled: await pull(clock, read, count) }
}

describe('a split that its enumerator takes', () => {
  test('as drained, waits for what is in hand until it is acknowledged', async () => {
    const { clock, source, read, pulled } = await stand(3)
    let released: readonly MemorySplit[] | undefined
    void source.release('drained', 5000).then((splits) => (released = splits))
    let more = false
    void read.next().then(() => (more = true))
    await clock.advance(1000)
    expect([released, more]).toEqual([undefined, false])
    for (const message of pulled) message.ack()
    await clock.advance(0)
    expect(released).toEqual([{ splitId: '0', next: 3 }])
    expect(read.status().late).toBe(0)
  })

  test('as drained, goes on at its deadline from the first message that is not acknowledged', async () => {
    const { clock, source, pulled } = await stand(3)
    pulled[0]?.ack()
    pulled[2]?.ack()
    const released = await settled(clock, source.release('drained', 5000))
    expect(released).toEqual([{ splitId: '0', next: 1 }])
    expect(pulled.map(({ isReleased }) => isReleased)).toEqual([false, true, false])
  })

  test('when the messages are closed meanwhile, is not left out of what is stored: nothing is, and that is told', async () => {
    const storage = spiedStorage()
    const { lines, logger } = recorder()
    const { clock, source, read, pulled } = await stand(3, { logger, checkpoints: { storage } })
    pulled[0]?.ack()
    const before = storage.stored.length
    const released = source.release('drained', 60_000)
    await settled(clock, read.close()).catch(() => undefined)
    await settled(clock, released, 1000)
    expect(storage.stored).toHaveLength(before)
    const told = lines.find(({ message }) => message.startsWith('The last positions were not stored'))
    expect(told).toMatchObject({ level: 'warn', fields: { splits: ['0'] } })
  })

  for (const how of ['revoked', 'lost'] as const) {
    test(`as ${how}, gives back at once what is in hand`, async () => {
      const { clock, source, read, pulled } = await stand(3)
      pulled[0]?.ack()
      const startedAt = clock.now()
      const released = await settled(clock, source.release(how, 5000), 0)
      expect(clock.now()).toBe(startedAt)
      expect(released).toEqual([{ splitId: '0', next: 1 }])
      pulled[2]?.ack()
      expect(read.status()).toMatchObject({ late: 1, unacked: 0 })
    })
  }

  test('is not handed out again by a nack that waited to be repeated', async () => {
    const clock = new VirtualClock()
    const source = new Releasing()
    source.push('0', 1)
    const read = reading(source, { clock, maxAttempts: 5, checkpoints: { storage: memoryCheckpoints() } })
    const [message] = await pull(clock, read, 1)
    message?.nack()
    await settled(clock, source.release('revoked', 1000))
    let more = false
    void read.next().then(() => (more = true))
    await clock.advance(1000)
    expect(more).toBe(false)
    expect(read.status().unacked).toBe(0)
  })
})
