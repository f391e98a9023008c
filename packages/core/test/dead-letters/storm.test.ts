import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { StormWindow } from '../../src/dead-letters/storm.ts'
import { exponentialDelayRestart, SluiceError } from '../../src/index.ts'
import { ended, failure, InMemorySink, InMemorySource, range, sorted, start, VirtualClock } from '../job/harness.ts'
import { Letters } from './harness.ts'

/** Refused at decode: every record of these numbers. */
function job(
  refused: ReadonlySet<number>,
  count: number,
  given: { readonly maxDeadLetterRatio?: number } = {},
): {
  readonly done: Promise<unknown>
  readonly letters: Letters
  readonly clock: VirtualClock
  readonly source: InMemorySource<number>
  readonly sink: InMemorySink<number>
} {
  const clock = new VirtualClock()
  const source = new InMemorySource<number>()
  for (const value of range(count)) {
    if (refused.has(value)) source.pushUndecodable('0', value)
    else source.push('0', value)
  }
  source.end()
  const letters = new Letters()
  const sink = new InMemorySink<number>()
  const running = start(source, sink, clock, {
    deadLetters: letters,
    restart: exponentialDelayRestart(),
    checkpoints: { intervalMs: 10 },
    ...given,
  })
  return { done: running.done, letters, clock, source, sink }
}

const every = (step: number, count: number): Set<number> => new Set(range(count).filter((value) => value % step === 0))

describe('a job', () => {
  test('whose half is poison goes on', async () => {
    const { done, letters, clock, sink } = job(every(2, 3000), 3000)
    await ended(clock, { done } as never)
    expect(letters.stored).toHaveLength(1500)
    expect(sink.stored).toHaveLength(1500)
  })

  test('with one more than half of 1000 in a row ends, once, and acknowledges nothing beyond', async () => {
    // Every second of 1000, and one more among them.
    const { done, letters, clock, source } = job(new Set([...every(2, 1000), 501]), 3000)
    const error = await failure(clock, done, 1)
    expect(error).toMatchObject({ code: 'SLUICE_POISON_STORM', restartable: false })
    expect(error.message).toContain(
      'more than 500 of 1000 consecutive inputs were refused (maxDeadLetterRatio 0.5), the last at decode: decodeThrew',
    )
    expect(letters.stored.length).toBeLessThanOrEqual(500)
    expect(error.facts).toMatchObject({ stage: 'decode', reasonCode: 'decodeThrew', maxDeadLetterRatio: 0.5 })
    // The last checkpoint lies at or before the record that was one too many.
    expect(source.acknowledged.length).toBeGreaterThan(0)
  })

  test('of bad records only stops at the bound, with no letter beyond it', async () => {
    const { done, letters, clock } = job(new Set(range(5000)), 5000)
    await failure(clock, done, 1)
    expect(letters.stored.length).toBeLessThanOrEqual(500)
    const positions = sorted(letters.positions.map(Number))
    expect(positions.at(-1) ?? 0).toBeLessThan(500)
  })

  test('does not end by a first record that is bad, nor by a short input that is', async () => {
    for (const count of [1, 500]) {
      const { done, letters, clock } = job(new Set(range(count)), count)
      await ended(clock, { done } as never)
      expect(letters.stored).toHaveLength(count)
    }
  })

  test('with a ratio of 0 ends at the first refusal, with 1 never', async () => {
    const first = job(new Set([5]), 10, { maxDeadLetterRatio: 0 })
    expect(await failure(first.clock, first.done)).toMatchObject({ code: 'SLUICE_POISON_STORM' })
    expect(first.letters.tries).toEqual([])
    const never = job(new Set(range(2500)), 2500, { maxDeadLetterRatio: 1 })
    await ended(never.clock, { done: never.done } as never)
    expect(never.letters.stored).toHaveLength(2500)
  })

  test('counts an input once, however many of its entries are refused', async () => {
    const clock = new VirtualClock()
    const source = new InMemorySource<number>()
    source.push('0', ...range(400))
    source.end()
    const letters = new Letters()
    const sink = new InMemorySink<number>({
      convert: (value) => [value, value, value],
      onSubmit: ({ entries }) => ({
        entries: entries.map(() => ({ kind: 'refuse', reason: { code: 'x', message: '' } })),
      }),
    })
    await ended(clock, start(source, sink, clock, { deadLetters: letters }))
    expect(letters.stored).toHaveLength(1200)
  })

  test.each([-0.1, 1.1, Number.NaN, '0.5'])('is refused a ratio of %j', (maxDeadLetterRatio) => {
    expect(() => job(new Set(), 1, { maxDeadLetterRatio: maxDeadLetterRatio as number })).toThrow(SluiceError)
  })
})

/** By definition: some 1000 consecutive inputs have more than allowed. */
const isStorm = (tokens: readonly number[], allowed: number): boolean =>
  tokens.some((first) => tokens.filter((token) => token >= first && token < first + 1000).length > allowed)

describe('the window', () => {
  test('sees a storm when it is one, in whatever order the refusals come', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 120 }),
        fc.integer({ min: 0, max: 40 }),
        (tokens, allowed) => {
          const window = new StormWindow(allowed / 1000)
          const seen: number[] = []
          for (const token of tokens) {
            const before = isStorm(seen, allowed)
            if (!seen.includes(token)) seen.push(token)
            const found = window.add(token)
            if (before) return
            expect(found).toBe(isStorm(seen, allowed))
          }
        },
      ),
    )
  })

  test('forgets what is long past', () => {
    const window = new StormWindow(0.5)
    for (const token of range(100_000)) expect(window.add(token * 2 + (token % 2))).toBe(false)
  })
})
