import { describe, expect, test } from 'vitest'
import {
  exponentialDelayRestart,
  failureRateRestart,
  fixedDelayRestart,
  noRestart,
  type RestartStrategy,
  SluiceError,
} from '../../src/index.ts'
import { failure, InMemorySink, InMemorySource, recorder, start, until, VirtualClock } from './harness.ts'

const middle = (): number => 0.5

/** Delays that the strategy gives to attempts that each fail at once. */
function delays(strategy: RestartStrategy, count: number, random: () => number = middle): (number | undefined)[] {
  let now = 0
  return Array.from({ length: count }, () => {
    const wait = strategy.onFailure(now, 0, random)
    now += wait ?? 0
    return wait
  })
}

describe('restart strategies, with the defaults of Flink', () => {
  test('none', () => {
    expect(delays(noRestart(), 1)).toEqual([undefined])
  })

  test('fixed-delay: one restart after a second', () => {
    expect(delays(fixedDelayRestart(), 2)).toEqual([1000, undefined])
    expect(delays(fixedDelayRestart({ attempts: 3, delayMs: 5 }), 4)).toEqual([5, 5, 5, undefined])
    expect(delays(fixedDelayRestart({ attempts: 0 }), 1)).toEqual([undefined])
  })

  test('exponential-delay: from 1 s by 1.5 up to 1 min, without end', () => {
    const given = delays(exponentialDelayRestart(), 100)
    expect(given.slice(0, 4)).toEqual([1000, 1500, 2250, 3375])
    expect(given.at(-1)).toBe(60_000)
    expect(given.every((delay) => delay !== undefined && delay <= 60_000)).toBe(true)
  })

  test('exponential-delay: a tenth of the delay is random, to both sides', () => {
    expect(delays(exponentialDelayRestart(), 1, () => 0)).toEqual([900])
    expect(delays(exponentialDelayRestart(), 1, () => 1)).toEqual([1100])
  })

  test('exponential-delay: begins anew after an hour without failure, not sooner', () => {
    const strategy = exponentialDelayRestart()
    delays(strategy, 5)
    expect(strategy.onFailure(0, 3_599_999, middle)).toBeGreaterThan(5000)
    expect(strategy.onFailure(0, 3_600_000, middle)).toBe(1000)
  })

  test('exponential-delay: a limit of attempts counts anew after a reset', () => {
    const strategy = exponentialDelayRestart({ attemptsBeforeResetBackoff: 2 })
    expect(delays(strategy, 3)).toEqual([1000, 1500, undefined])
    expect(strategy.onFailure(0, 3_600_000, middle)).toBe(1000)
  })

  test('failure-rate: one failure a minute', () => {
    const strategy = failureRateRestart()
    expect(strategy.onFailure(0, 0, middle)).toBe(1000)
    expect(strategy.onFailure(60_000, 0, middle)).toBe(1000)
    expect(strategy.onFailure(119_999, 0, middle)).toBeUndefined()
  })

  test('failure-rate: counts a sliding interval', () => {
    const strategy = failureRateRestart({ maxFailuresPerInterval: 2, failureRateIntervalMs: 100, delayMs: 1 })
    expect([0, 90, 100, 150].map((at) => strategy.onFailure(at, 0, middle))).toEqual([1, 1, 1, undefined])
  })

  test.each([
    ['fixedDelayRestart', () => fixedDelayRestart({ attempts: -1, delayMs: 0.5 }), /attempts[\s\S]*delayMs/],
    [
      'exponentialDelayRestart',
      () => exponentialDelayRestart({ initialBackoffMs: 100, maxBackoffMs: 50, backoffMultiplier: 0, jitterFactor: 2 }),
      /maxBackoffMs[\s\S]*backoffMultiplier[\s\S]*jitterFactor/,
    ],
    [
      'failureRateRestart',
      () => failureRateRestart({ maxFailuresPerInterval: 0, delayMs: Number.NaN }),
      /maxFailuresPerInterval[\s\S]*delayMs/,
    ],
  ])('%s refuses bad options, all at once', (_name, make, says) => {
    expect(make).toThrow(says)
  })

  test.each([Symbol('n'), 1n])('exponential delay refuses %s wherever a number is wanted', (n) => {
    const options = { initialBackoffMs: n, maxBackoffMs: 0, backoffMultiplier: n, jitterFactor: n }
    expect(() => exponentialDelayRestart(options as never)).toThrow(
      /4 invalid[^]*initialBackoffMs[^]*maxBackoffMs[^]*backoffMultiplier[^]*jitterFactor/,
    )
  })
})

async function failing(restart: RestartStrategy | undefined, failures: number) {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  const { lines, logger } = recorder()
  let left = failures
  const create = source.createEnumerator.bind(source)
  const startedAt: number[] = []
  source.createEnumerator = (context, restored) => ({
    ...create(context, restored),
    start() {
      startedAt.push(clock.now())
      if (left-- > 0) return Promise.reject(new Error('no network'))
      return create(context, restored).start()
    },
  })
  const job = start(source, new InMemorySink<number>(), clock, {
    logger,
    random: middle,
    ...(restart === undefined ? {} : { restart }),
  })
  return { clock, job, startedAt, lines }
}

describe('a job', () => {
  test('waits as long as the strategy says before each attempt', async () => {
    const { clock, job, startedAt, lines } = await failing(exponentialDelayRestart(), 3)
    await until(clock, () => job.status().state === 'running', 50)
    expect(startedAt).toEqual([0, 1000, 2500, 4750])
    expect(job.status()).toMatchObject({
      attempt: 4,
      restarts: 3,
      lastError: { attempt: 3, code: 'SLUICE_SOURCE_FAILED' },
    })
    expect(
      lines.filter(({ message }) => message === 'The job restarts').map(({ fields }) => fields['delayMs']),
    ).toEqual([1000, 1500, 2250])
    await job.close()
  })

  test('shows that it restarts, and why', async () => {
    const { clock, job } = await failing(fixedDelayRestart(), 1)
    await until(clock, () => job.status().state === 'restarting')
    expect(job.status().lastError?.message).toContain('no network')
    await job.close()
  })

  test('fails with the last error when the strategy gives up', async () => {
    const { clock, job, startedAt } = await failing(fixedDelayRestart({ attempts: 2 }), 9)
    expect(await failure(clock, job.done)).toMatchObject({ code: 'SLUICE_SOURCE_FAILED', restartable: true })
    expect(startedAt).toHaveLength(3)
    expect(job.status().state).toBe('failed')
  })

  test('is not restarted by an error that says that it is not restartable', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.createEnumerator = () => {
      throw new SluiceError('SLUICE_SOURCE_NOT_FOUND', 'no such stream')
    }
    const job = start(source, new InMemorySink<number>(), clock, { restart: exponentialDelayRestart() })
    expect(await failure(clock, job.done)).toMatchObject({ code: 'SLUICE_SOURCE_NOT_FOUND' })
    expect(job.status().attempt).toBe(1)
  })
})
