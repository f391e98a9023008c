import { describe, expect, test } from 'vitest'
import {
  ALL_WRITTEN,
  AsyncSinkWriter,
  type Batch,
  type EntryRules,
  explainEntries,
  MetricRegistry,
  type Reason,
  silentLogger,
  type SinkContext,
  type SubmitOutcome,
  toFunction,
} from '../../src/index.ts'
import { InMemorySink, seededRandom, VirtualClock } from '../../src/testing.ts'
import { FakeSettlement } from './harness.ts'

type Rules = EntryRules<string, string>

/** The engine with the functions that are explained. */
class RuledWriter extends AsyncSinkWriter<string, string> {
  readonly #rules: Rules
  readonly sent: Batch<string>[] = []

  constructor(rules: Rules, context: SinkContext) {
    const limits = { maxBatchSize: 10, maxInFlightRequests: 9, maxBufferedRequests: 1000, maxTimeInBufferMS: 1 }
    super(context, { ...limits, ...rules.limits })
    this.#rules = rules
  }

  protected convert(value: string, emit: (entry: string) => void): void {
    return this.#rules.convert(value, emit)
  }

  protected override sizeInBytes(entry: string): number {
    return this.#rules.sizeInBytes === undefined ? 0 : this.#rules.sizeInBytes(entry)
  }

  protected override weight(entry: string): number {
    return this.#rules.weight === undefined ? 1 : this.#rules.weight(entry)
  }

  protected override destination(entry: string): string {
    return this.#rules.destination === undefined ? '' : this.#rules.destination(entry)
  }

  protected override orderKey(entry: string): number {
    return this.#rules.orderKey === undefined ? 0 : this.#rules.orderKey(entry)
  }

  protected submit(batch: Batch<string>): Promise<SubmitOutcome> {
    this.sent.push(batch)
    return Promise.resolve(ALL_WRITTEN)
  }
}

/** What the engine does with the value: what it sends, and where, and what it refuses. */
async function engine(rules: Rules, value: string): Promise<{ readonly sent: unknown; readonly refused: unknown }> {
  const clock = new VirtualClock()
  const settlement = new FakeSettlement()
  const failures: unknown[] = []
  const writer = new RuledWriter(rules, {
    sinkUid: 'test',
    logger: silentLogger,
    metrics: new MetricRegistry(),
    clock,
    random: seededRandom(1),
    settlement,
    fail: (error) => failures.push(error),
    requestCheckpoint: () => {},
  })
  const token = settlement.token()
  writer.write({ values: [value], tokens: Float64Array.of(token), byteLengths: Uint32Array.of(0) }, 0, 1)
  await clock.advance(10)
  expect(failures).toEqual([])
  const sent = writer.sent.flatMap(({ entries, destination }) => entries.map((entry) => ({ entry, destination })))
  const weight = writer.sent.reduce((sum, batch) => sum + batch.weight, 0)
  const refused = settlement.refusals.map(({ reason, entry }) => ({ ...factsOf(reason), entry }))
  return { sent: { sent, weight }, refused }
}

/** The same, as it was explained. */
function explained(rules: Rules, value: string): Awaited<ReturnType<typeof engine>> {
  const { entries, refusal } = explainEntries(rules, value)
  const taken = entries.filter(({ refusals }) => refusals.length === 0)
  const sent = taken.map(({ entry, destination = '' }) => ({ entry, destination }))
  const weight = taken.reduce((sum, each) => sum + each.weight, 0)
  const refused = entries.flatMap(({ entry, refusals }) => refusals.map((reason) => ({ ...factsOf(reason), entry })))
  if (refusal !== undefined) refused.push({ ...factsOf(refusal), entry: undefined })
  return { sent: { sent, weight }, refused }
}

function factsOf({ code, message, cause }: Reason): object {
  return { code, message, cause }
}

const words = (value: string, emit: (entry: string) => void): void => {
  for (const word of value.split(' ')) if (word !== '') emit(word)
}

const boom = new Error('boom')

function throwing(): never {
  throw boom
}

/** A function of plain JavaScript. */
function untyped(fn: unknown): Rules['convert'] {
  return fn as Rules['convert']
}

const CASES: readonly (readonly [what: string, rules: Rules, refusals: readonly string[]])[] = [
  ['two entries', { convert: words }, []],
  ['none', { convert: () => {} }, []],
  ['a conversion that throws', { convert: throwing }, ['convertThrew']],
  [
    'a conversion that throws after it emitted',
    {
      convert(value, emit) {
        words(value, emit)
        throw boom
      },
    },
    ['convertThrew'],
  ],
  ['an asynchronous conversion', { convert: untyped(() => Promise.resolve(1)) }, ['convertThrew']],
  [
    'an asynchronous conversion that fails',
    { convert: untyped(() => Promise.reject(new Error('unheard'))) },
    ['convertThrew'],
  ],
  [
    'one entry that is too large',
    { convert: words, sizeInBytes: (entry) => entry.length, limits: { maxRecordSizeInBytes: 5 } },
    ['recordTooLarge'],
  ],
  ['a size that throws', { convert: words, sizeInBytes: throwing }, ['convertThrew', 'convertThrew']],
  ['a size that is none', { convert: words, sizeInBytes: () => Number.NaN }, ['convertThrew', 'convertThrew']],
  ['weights', { convert: words, weight: (entry) => entry.length }, []],
  ['a weight below 0', { convert: words, weight: (entry) => 5 - entry.length }, ['convertThrew']],
  ['destinations', { convert: words, destination: (entry) => `to ${entry}` }, []],
  [
    'a destination that is none',
    { convert: words, destination: (() => 5) as unknown as (entry: string) => string },
    ['convertThrew', 'convertThrew'],
  ],
  ['an order key that is none', { convert: words, orderKey: () => 1.5 }, ['convertThrew', 'convertThrew']],
]

test.each(CASES)('tells of %s what the engine does', async (_, rules, refusals) => {
  const value = 'short lengthy'
  const told = explained(rules, value)
  expect(told).toEqual(await engine(rules, value))
  expect((told.refused as readonly Reason[]).map(({ code }) => code)).toEqual(refusals)
})

describe('an explanation', () => {
  test('has size, weight and destination of each entry', () => {
    const rules: Rules = {
      convert: words,
      sizeInBytes: (entry) => entry.length,
      weight: () => 2,
      destination: (entry) => entry.slice(0, 1),
      limits: { maxRecordSizeInBytes: 3 },
    }
    expect(explainEntries(rules, 'one three')).toEqual({
      entries: [
        { entry: 'one', sizeInBytes: 3, weight: 2, destination: 'o', refusals: [] },
        {
          entry: 'three',
          sizeInBytes: 5,
          weight: 2,
          destination: 't',
          refusals: [{ code: 'recordTooLarge', message: '5 bytes, allowed are 3 (maxRecordSizeInBytes)' }],
        },
      ],
    })
  })

  test('has what only the sink knows, of entries that the engine would take', () => {
    const rules: Rules = {
      convert: words,
      sizeInBytes: (entry) => entry.length,
      limits: { maxRecordSizeInBytes: 4 },
      send: (entry) => ({ entry: entry.toUpperCase(), destination: 'there', billed: { requests: 1 } }),
    }
    expect(explainEntries(rules, 'one three').entries).toMatchObject([
      { entry: 'ONE', destination: 'there', billed: { requests: 1 }, refusals: [] },
      { entry: 'three', refusals: [{ code: 'recordTooLarge' }] },
    ])
    expect(explainEntries({ convert: words, send: throwing }, 'one').entries).toMatchObject([
      { entry: 'one', refusals: [{ code: 'convertThrew', message: 'boom', cause: boom }] },
    ])
  })
})

test('toFunction hands values on as they are', () => {
  const calls: unknown[] = []
  const sink = toFunction<object>((values) => Promise.resolve(void calls.push(values)))
  const value = { a: 1 }
  expect(sink.explain?.(value)).toEqual({ entries: [{ entry: value, sizeInBytes: 0, weight: 1, refusals: [] }] })
  expect(calls).toEqual([])
})

test('InMemorySink tells its conversion, and stores nothing', () => {
  const sink = new InMemorySink<string>({ convert: (value) => (value === 'bad' ? throwing() : [value, value]) })
  expect(sink.explain('x').entries.map(({ entry }) => entry)).toEqual(['x', 'x'])
  expect(sink.explain('bad')).toEqual({ entries: [], refusal: { code: 'convertThrew', message: 'boom', cause: boom } })
  expect([sink.stored, sink.requests]).toEqual([[], []])
})
