import { describe, expect, test } from 'vitest'
import { exponentialDelayRestart, fixedDelayRestart, type Job, JOB_METRICS } from '../../src/index.ts'
import {
  ended,
  failure,
  Gate,
  InMemorySink,
  InMemorySource,
  range,
  never,
  recorder,
  start,
  until,
  VirtualClock,
} from '../job/harness.ts'
import { Letters, refusing } from './harness.ts'

async function failing(given: { readonly onDeliver: Letters['onDeliver']; readonly retry?: object }): Promise<{
  readonly letters: Letters
  readonly job: Job
  readonly source: InMemorySource<number>
  readonly clock: VirtualClock
  readonly lines: ReturnType<typeof recorder>['lines']
}> {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  source.push('0', ...range(6))
  source.end()
  const letters = new Letters()
  letters.onDeliver = given.onDeliver
  const { lines, logger } = recorder()
  const job = start(
    source,
    refusing<number>((value) => value % 2 === 1),
    clock,
    {
      logger,
      deadLetters: letters,
      restartGraceMs: 10,
      deadLetterRetry: { maxAttempts: 4, timeoutMs: 1000, initialDelayMs: 100, maxDelayMs: 250, ...given.retry },
    },
  )
  return { letters, job, source, clock, lines }
}

describe('dead letters that fail', () => {
  test('are tried again with growing delays until they take the letter', async () => {
    const at: number[] = []
    let fails = 3
    const { letters, job, clock } = await failing({
      onDeliver: ({ entry }) => {
        if (entry !== 1) return
        at.push(clock.now())
        if (fails-- > 0) throw new Error('busy')
      },
    })
    await ended(clock, job)
    expect(letters.stored).toHaveLength(3)
    const waits = at.slice(1).map((time, index) => time - (at[index] ?? 0))
    for (const [index, longest] of [100, 200, 250].entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(longest / 2)
      expect(waits[index]).toBeLessThanOrEqual(longest)
    }
    expect(letters.tries.filter(({ letter }) => letter.entry === 1).map(({ context }) => context.attempt)).toEqual([
      1, 2, 3, 4,
    ])
    expect(job.status().deadLetters).toMatchObject({ delivered: 3, errors: 3, lastError: 'busy' })
    expect(job.metrics.group({ job: 'test' }).counter(JOB_METRICS.numDeadLetterErrors).value).toBe(3)
    expect(job.metrics.group({ job: 'test' }).counter(JOB_METRICS.numDeadLetters, { stage: 'store' }).value).toBe(3)
  })

  test('fail the job beyond their budget: restartable, naming option and reason, and nothing is acknowledged', async () => {
    const { job, source, clock, letters } = await failing({
      onDeliver: ({ entry }) => {
        if (entry === 3) throw new Error('disk full')
      },
    })
    const error = await failure(clock, job.done)
    expect(error).toMatchObject({
      code: 'SLUICE_DEAD_LETTERS_FAILED',
      restartable: true,
      message:
        'a dead letter could not be delivered: 4 tries (deadLetterRetry.maxAttempts), the last ended with: disk full',
      facts: { stage: 'store', sink: 'memory', source: 'memory', split: '0', position: '3', tries: 4 },
    })
    expect(source.acknowledged).toEqual([1])
    expect(letters.stored.map(({ entry }) => entry)).not.toContain(3)
    expect(letters.closed).toBe(1)
  })

  test('that do not answer fail at their deadline, and the request is given up', async () => {
    const { job, letters, clock } = await failing({ onDeliver: () => never() })
    expect(await failure(clock, job.done)).toMatchObject({
      code: 'SLUICE_DEAD_LETTERS_FAILED',
      message: expect.stringContaining('no answer within 1000 ms (deadLetterRetry.timeoutMs)'),
    })
    expect(letters.tries).toHaveLength(12)
    expect(letters.tries.every(({ context }) => context.signal.aborted)).toBe(true)
    expect(clock.pendingTimers).toBe(0)
  })

  test('are tried again by the next attempt of the job', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1, 2, 3)
    source.end()
    const letters = new Letters()
    letters.onDeliver = () => {
      if (clock.now() < 5000) throw new Error('down')
    }
    const job = start(
      source,
      refusing<number>((value) => value === 2),
      clock,
      {
        deadLetters: letters,
        deadLetterRetry: { maxAttempts: 2 },
        restart: fixedDelayRestart({ attempts: 100, delayMs: 1000 }),
      },
    )
    expect(await ended(clock, job)).toMatchObject({ unsettled: 0 })
    expect(job.status().restarts).toBeGreaterThan(1)
    expect(letters.positions).toEqual(['1'])
    expect(letters.closed).toBe(1)
  })

  test('that confirm after the attempt has ended settle nothing', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const letters = new Letters()
    const gate = new Gate()
    letters.onDeliver = async () => void (await gate.pass())
    const sink = refusing<number>(() => true)
    const job = start(source, sink, clock, { deadLetters: letters, restartGraceMs: 10 })
    await until(clock, () => gate.waiting === 1, 100)
    void job.close()
    const end = await ended(clock, job)
    expect(end).toMatchObject({ how: 'closed', unsettled: 1 })
    gate.open()
    await clock.advance(1000)
    expect(source.acknowledged).toEqual([1])
    expect(job.status().sinks['memory']).toMatchObject({ deadLettered: 0, abandoned: 1, inHand: 0 })
  })

  test('are not tried again after the attempt has ended', async () => {
    const { job, letters, clock } = await failing({
      onDeliver: () => {
        throw new Error('busy')
      },
      retry: { maxAttempts: 1000 },
    })
    await until(clock, () => letters.tries.length >= 6, 50)
    void job.close()
    await ended(clock, job)
    const tries = letters.tries.length
    await clock.advance(60_000)
    expect(letters.tries).toHaveLength(tries)
    expect(clock.pendingTimers).toBe(0)
  })

  test('tell the log that they fail and what to turn, once, without content', async () => {
    const { job, lines, clock } = await failing({
      onDeliver: () => {
        throw new Error('busy')
      },
    })
    await failure(clock, job.done)
    expect(lines.filter(({ message }) => message.includes('Option: deadLetterRetry'))).toHaveLength(1)
    expect(lines.filter(({ message }) => message.startsWith('A record was refused'))).toMatchObject([
      { level: 'warn', fields: { sink: 'memory', stage: 'store', reason: 'outOfRange', split: '0', position: '1' } },
    ])
  })

  test('that throw from hasten do not hold the job up', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    source.end()
    const letters = Object.assign(new Letters(), {
      hasten: () => {
        throw new Error('hasten')
      },
    })
    await ended(
      clock,
      start(
        source,
        refusing<number>(() => true),
        clock,
        { deadLetters: letters },
      ),
    )
    expect(letters.stored).toHaveLength(1)
  })

  test('that cannot be opened fail the job before anything is read', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', 1)
    const letters = Object.assign(new Letters(), { open: () => Promise.reject(new Error('read-only')) })
    const job = start(source, new InMemorySink<number>(), clock, {
      deadLetters: letters,
      restart: exponentialDelayRestart(),
    })
    expect(await failure(clock, job.done)).toMatchObject({
      code: 'SLUICE_DEAD_LETTERS_FAILED',
      message: 'dead letters cannot be opened: read-only',
    })
    expect(source.fetched).toBe(0)
  })

  test('whose opening hangs fail the job at the deadline', async () => {
    const clock = new VirtualClock()
    const letters = Object.assign(new Letters(), { open: () => never() })
    const job = start(new InMemorySource<number>(), new InMemorySink<number>(), clock, { deadLetters: letters })
    expect(await failure(clock, job.done, 1000)).toMatchObject({
      code: 'SLUICE_DEAD_LETTERS_FAILED',
      message: expect.stringContaining('no answer within 30000 ms'),
    })
    expect(clock.pendingTimers).toBe(0)
  })
})
