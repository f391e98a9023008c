import { describe, expect, test } from 'vitest'

import { fixedDelayRestart, type Job, type JobOptions, memoryCheckpoints, stream } from '../../src/index.ts'
import { type FetchCommand, InMemorySink, ScriptedSource, seededRandom, VirtualClock } from '../../src/testing.ts'
import { failure, options, range, settled, sorted, until } from '../job/harness.ts'

const FAULTS: readonly FetchCommand[] = ['empty', 'again', 'fail', 'throw', 'hold', { delayMs: 40 }]

function start(
  source: ScriptedSource<number>,
  sink: InMemorySink<number>,
  clock: VirtualClock,
  given: Partial<JobOptions> = {},
): Job {
  const storage = memoryCheckpoints()
  return stream(source)
    .sinkTo(sink)
    .start(options(clock, { checkpoints: { intervalMs: 100, storage }, ...given }))
}

describe('a source that misbehaves on command', () => {
  test('does what it is told, in order, and then what is said for the rest', async () => {
    const clock = new VirtualClock()
    const source = new ScriptedSource<number>({ maxBatchSize: 2 })
    source.log.push('0', range(6))
    source.log.end()
    source.next('empty', 'records', 'again', { delayMs: 500 })
    const sink = new InMemorySink<number>()
    await settled(clock, start(source, sink, clock).done)
    expect(sink.stored).toEqual([0, 1, 0, 1, 2, 3, 4, 5])
    expect(source.fetched.slice(0, 5)).toEqual(['empty', 'records', 'again', { delayMs: 500 }, 'records'])
  })

  test.each([
    ['fail', 'SLUICE_SOURCE_FAILED', true],
    ['throw', 'SLUICE_SOURCE_FAILED', true],
    ['failFinal', 'SLUICE_SOURCE_FAILED', false],
    ['positionLost', 'SLUICE_POSITION_LOST', false],
  ] as const)('%s ends the attempt', async (command, code, restartable) => {
    const clock = new VirtualClock()
    const source = new ScriptedSource<number>()
    source.next(command)
    const error = await failure(clock, start(source, new InMemorySink<number>(), clock).done)
    expect(error).toMatchObject({ code, restartable })
  })

  test.each(['hang', 'late'] as const)(
    'a fetch that does %s does not keep the job, and nothing of it counts',
    async (command) => {
      const clock = new VirtualClock()
      const source = new ScriptedSource<number>()
      source.log.push('0', range(5))
      source.next(command)
      const sink = new InMemorySink<number>()
      const storage = memoryCheckpoints()
      const job = start(source, sink, clock, { checkpoints: { storage } })
      await until(clock, () => source.fetched.length === 1)
      expect(await settled(clock, job.close())).toMatchObject({ how: 'closed' })
      expect(sink.stored).toEqual([])
      source.log.end()
      await settled(clock, start(source, sink, clock, { checkpoints: { storage } }).done)
      expect(sink.stored).toEqual(range(5))
    },
  )

  test('what is committed is where the next start begins, and a commit that failed is not', async () => {
    const clock = new VirtualClock()
    const source = new ScriptedSource<number>({ positionAuthority: 'external' })
    source.log.push('0', range(5))
    source.nextCommit('reject')
    const sink = new InMemorySink<number>()
    const job = start(source, sink, clock)
    await until(clock, () => source.commits.length === 2, 50)
    expect(source.commits.map(({ command }) => command)).toEqual(['reject', 'commit'])
    await settled(clock, job.close())
    expect(source.committed('0')).toBe(5)
    source.log.push('0', [5])
    source.log.end()
    await settled(clock, start(source, sink, clock).done)
    expect(sink.stored).toEqual(range(6))
  })

  test('splits are taken and given back while records are in hand, and nothing is lost', async () => {
    const clock = new VirtualClock()
    const source = new ScriptedSource<number>({ splits: ['a', 'b'] })
    source.log.push('a', range(50))
    source.log.push('b', range(50, 50))
    const sink = new InMemorySink<number>()
    const job = start(source, sink, clock)
    await until(clock, () => sink.stored.length > 0, 10)
    for (const how of ['revoked', 'drained', 'lost'] as const) {
      const released = await settled(clock, source.release(['a'], how, 1000), 10)
      expect(released.map(({ splitId }) => splitId)).toEqual(['a'])
      await clock.advance(200)
      source.assign(released)
    }
    source.log.addSplit('c')
    source.log.push('c', range(10, 100))
    source.log.end()
    await settled(clock, job.done)
    expect(sorted(new Set(sink.stored))).toEqual(range(110))
  })

  test.each([1, 2, 3, 4])('by chance, over restarts, nothing is lost: seed %i', async (seed) => {
    const clock = new VirtualClock()
    const source = new ScriptedSource<number>({
      splits: ['a', 'b'],
      maxBatchSize: 5,
      positionAuthority: seed % 2 === 0 ? 'external' : 'checkpoint',
      chaos: { random: seededRandom(seed), rate: 0.3, fetches: FAULTS, commits: ['reject', { delayMs: 30 }] },
    })
    source.log.push('a', range(60))
    source.log.push('b', range(60, 60))
    source.log.end()
    const sink = new InMemorySink<number>()
    const job = start(source, sink, clock, { restart: fixedDelayRestart({ attempts: 1000, delayMs: 10 }) })
    let done = false
    void job.done.then(() => (done = true))
    await until(
      clock,
      () => {
        source.answerAll()
        return done
      },
      50,
    )
    expect(sorted(new Set(sink.stored))).toEqual(range(120))
    expect(new Set(source.fetched.map(String)).size).toBeGreaterThan(3)
  })
})
