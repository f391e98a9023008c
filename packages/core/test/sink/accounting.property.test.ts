import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { seededRandom } from '../../src/testing/seeded-random.ts'
import { AccountingModel, type Answer, type Event, type Kind, type Limits } from './accounting-model.ts'
import type { Shape } from './harness.ts'

const value = fc.record({
  parts: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 0, max: 3 })),
  size: fc.integer({ min: 0, max: 40 }),
  weight: fc.integer({ min: 0, max: 5 }),
  rawBytes: fc.integer({ min: 0, max: 30 }),
  key: fc.integer({ min: 0, max: 4 }),
  to: fc.constantFrom('x', 'y', 'z'),
})
const values = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: value },
    value.map((given) => ({ ...given, throws: 'poison' })),
  ),
  { minLength: 1, maxLength: 8 },
)

const split = fc.nat(2)

const kind = fc.constantFrom<Kind>('written', 'written', 'duplicate', 'dropped', 'retry', 'retryLater', 'refuse')
const answer: fc.Arbitrary<Answer> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ form: 'written' } as const) },
  {
    weight: 4,
    arbitrary: fc.record({ form: fc.constant('entries' as const), kinds: fc.array(kind, { minLength: 1 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record(
      {
        form: fc.constant('retryAll' as const),
        afterMs: fc.integer({ min: 0, max: 3000 }),
        slowDown: fc.boolean(),
        unknown: fc.boolean(),
      },
      { requiredKeys: ['form'] },
    ),
  },
  {
    weight: 6,
    arbitrary: fc
      .constantFrom('isolate' as const, 'isolate', 'tooLarge', 'garbage', 'short', 'throw')
      .map((form) => ({ form })),
  },
)

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), split, values }) },
  { weight: 2, arbitrary: fc.constantFrom({ do: 'hasten' as const }, { do: 'barrier' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), split }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 1200 }).map((ms) => ({ do: 'advance' as const, ms })) },
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant('answer' as const), which: fc.nat(9), answer }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('letter' as const),
      which: fc.nat(9),
      taken: fc.integer({ min: 0, max: 9 }).map((roll) => roll > 0),
    }),
  },
)

/** With what a writer is made: without order and destinations, with one of them, or both. */
const shape: fc.Arbitrary<Shape> = fc.record({
  keyed: fc.boolean(),
  destinations: fc.boolean(),
  answers: fc.constantFrom('entry' as const, 'request' as const),
})

/** How a run ends; after a close some events follow, which must do nothing. */
const ending = fc.oneof(
  fc.constant({ how: 'drain' as const }),
  fc.record({
    how: fc.constant('close' as const),
    deadlineMs: fc.integer({ min: 0, max: 3000 }),
    after: fc.array(event, { maxLength: 12 }),
    fail: fc.boolean(),
  }),
)

const limits: fc.Arbitrary<Limits> = fc.record({
  maxBatchSize: fc.integer({ min: 1, max: 6 }),
  maxInFlightRequests: fc.integer({ min: 1, max: 4 }),
  maxBufferedRequests: fc.integer({ min: 7, max: 24 }),
  maxBatchWeight: fc.integer({ min: 4, max: 20 }),
  maxBatchSizeInBytes: fc.integer({ min: 35, max: 120 }),
  maxBufferedBytes: fc.integer({ min: 50, max: 800 }),
  maxIsolationRequests: fc.integer({ min: 1, max: 8 }),
  maxAttempts: fc.integer({ min: 1, max: 5 }),
  entryTimeoutMs: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 800, max: 6000 })),
})

/** What must meet in one run; `late` and `close` are left to the runs that close. */
const FEATURES = [
  'full',
  'none',
  'many',
  'throws',
  'recordTooLarge',
  'hasten',
  'timeout',
  'late',
  'written',
  'duplicate',
  'dropped',
  'retry',
  'refuse',
  'retryAll',
  'isolate',
  'tooLarge',
  'garbage',
  'throw',
  'retriesExhausted',
  'isolationBudget',
  'letterTaken',
  'letterRefused',
  'sent:time',
  'sent:retry',
  'sent:isolate',
  'close',
  'fail',
  'barrier',
  'release',
  'returned',
  'returnedInFlight',
  'restart',
  'ordered',
  'entryTimeout',
] as const

const RUNS = 300

test('accounting, tokens, order and bounds hold after every event, whatever a sink, a store and a clock do', async () => {
  const pairs = new Set<string>()
  const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 1_000_000_007)
  const runs = Number(process.env['SLUICE_RUNS'] ?? RUNS)
  let events = 0
  await fc.assert(
    fc.asyncProperty(
      limits,
      shape,
      fc.array(fc.oneof({ weight: 40, arbitrary: event }, fc.constant({ do: 'restart' as const })), {
        minLength: 10,
        maxLength: 80,
        size: 'max',
      }),
      ending,
      fc.nat(),
      async (given, made, list, end, randomSeed) => {
        let model = new AccountingModel(given, made, seededRandom(randomSeed))
        for (const each of list) {
          if (each.do === 'restart') model = await model.restart()
          else await model.apply(each)
        }
        if (end.how === 'drain' && !model.seen.has('letterRefused')) await model.drain()
        else {
          if (end.how === 'close') {
            if (end.fail) await model.apply({ do: 'answer', which: 0, answer: { form: 'fail' } })
            await model.apply({ do: 'close', deadlineMs: end.deadlineMs })
            for (const each of end.after) await model.apply(each)
          }
          await model.close()
        }
        events += list.length
        const seen = FEATURES.filter((feature) => model.seen.has(feature))
        for (const [index, feature] of seen.entries()) {
          for (const other of seen.slice(index + 1)) pairs.add(`${feature} x ${other}`)
        }
      },
    ),
    { seed, numRuns: runs, endOnFailure: false },
  )
  const all = FEATURES.flatMap((feature, index) => FEATURES.slice(index + 1).map((other) => `${feature} x ${other}`))
  const missing = all.filter((pair) => !pairs.has(pair))
  const coverage = 1 - missing.length / all.length
  process.stdout.write(`${JSON.stringify({ seed, runs, events, pairCoverage: coverage, missing })}\n`)
  expect(coverage, `pairs that never met: ${missing.join(', ')}`).toBeGreaterThanOrEqual(0.95)
}, 120_000)
