import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeRemoteWrite } from '../src/decode.ts'
import { createEncoder } from '../src/encode.ts'
import { emitTimeSeries, recordEntry } from '../src/entries.ts'
import type { Label, Labels, PrometheusTimeSeries } from '../src/model.ts'
import { InvalidSeriesError } from '../src/problems.ts'
import type { LabelHash } from '../src/series-hash.ts'
import { SeriesTable, type SeriesTableOptions } from '../src/series-table.ts'
import { labelList, PrometheusTimeSeries as Builders } from '../src/time-series.ts'
import { anySeries } from './wire-arbitraries.ts'
import { sentLabels } from './wire-expected.ts'

const T = 1_700_000_000_000

function newTable(options: Partial<SeriesTableOptions> = {}, hash?: LabelHash): SeriesTable {
  return new SeriesTable({ protocol: '1.0', validation: 'normalise', ...options }, hash)
}

function problemsOf(work: () => unknown): readonly string[] {
  try {
    work()
  } catch (error) {
    if (error instanceof InvalidSeriesError) return error.problems
    throw error
  }
  return []
}

function entryProblems(timeSeries: unknown, options: Partial<SeriesTableOptions> = {}): readonly string[] {
  return problemsOf(() => emitTimeSeries(newTable(options), timeSeries as PrometheusTimeSeries, 500, () => undefined))
}

/** What has its pairs somewhere else than in its properties, and what is said of it. */
const NO_LABELS: readonly (readonly [object, string])[] = [
  [new Map([['a', '1']]), 'labels must be an object or a list, got a Map'],
  [new Map(), 'labels must be an object or a list, got a Map'],
  [new Set([{ name: 'a', value: '1' }]), 'labels must be an object or a list, got a Set'],
  [new Map([['a', '1']]).entries(), 'labels must be an object or a list, got a Map Iterator'],
  [new URLSearchParams('a=1'), 'labels must be an object or a list, got a URLSearchParams'],
]

const hashes: readonly [string, LabelHash | undefined][] = [
  ['the usual hash', undefined],
  ['a hash that is always the same', () => 7],
  ['a hash of little worth', (name) => name.length],
]

describe.each(hashes)('look-up with %s', (_, hash) => {
  test('gives one object for one set of labels, however it is given, and never for another', () => {
    fc.assert(
      fc.property(fc.array(anySeries('2.0'), { maxLength: 15 }), fc.integer({ min: 1, max: 12 }), (list, maxSeries) => {
        const table = newTable({ protocol: '2.0', maxSeries }, hash)
        for (const { metricName = '', labels } of [...list, ...list]) {
          const given = labelList(labels)
          const ways: (() => ReturnType<SeriesTable['series']>)[] = [
            () => table.series(metricName, given),
            () => table.series(metricName, given.toReversed()),
            () => table.series(undefined, [...given, { name: '__name__', value: metricName }]),
          ]
          // An object has its numeric and repeated names in an order of its own.
          if (given.every(({ name }) => !/^\d|^__proto__$/u.test(name))) {
            ways.push(() => table.series(metricName, Object.fromEntries(given.map(({ name, value }) => [name, value]))))
          }
          for (const way of ways) expect(way().labels).toEqual(sentLabels(metricName, given))
        }
      }),
    )
  })

  test('a sample never goes to a series with other labels', () => {
    const table = newTable({}, hash)
    const encoder = createEncoder('1.0', table.rules)
    const records = Array.from({ length: 400 }, (_each, id) => ({
      name: id % 3 === 0 ? 'up' : 'down',
      labels: { a: String(id % 20), b: String(id % 7) },
      value: id,
      timestamp: T + id,
    }))
    for (let round = 0; round < 2; round++) {
      const decoded = decodeRemoteWrite(encoder.encode(records.map((record) => recordEntry(table, record))), '1.0')
      const samples = decoded.timeSeries.flatMap(({ labels, samples: each }) =>
        each.map(({ value }) => {
          const [{ value: name } = { value: '' }, a, b] = labels
          return [value, name, a?.value, b?.value]
        }),
      )
      expect(samples.toSorted((x, y) => Number(x[0]) - Number(y[0]))).toEqual(
        records.map(({ value, name, labels }) => [value, name, labels.a, labels.b]),
      )
    }
  })
})

describe('look-up', () => {
  test('the same labels are the same object, whatever their order and form', () => {
    const table = newTable()
    const series = table.series('up', { a: '1', B: '2' })
    expect(table.series('up', { B: '2', a: '1' })).toBe(series)
    expect(
      table.series('up', [
        { name: 'a', value: '1' },
        { name: 'B', value: '2' },
      ]),
    ).toBe(series)
    expect(table.series(undefined, { a: '1', B: '2', __name__: 'up' })).toBe(series)
    expect(table.series('up', { a: '1', c: '', B: '2' })).toBe(series)
    expect(table.series('up', { a: '2', B: '1' })).not.toBe(series)
    expect(table.series('up', { a: '1' })).not.toBe(series)
    expect(series.labels.map(({ name }) => name)).toEqual(['B', '__name__', 'a'])
  })

  test('the order key does not depend on the order of labels, on the table, or on empty values', () => {
    const key = newTable().series('up', { a: '1', b: '2' }).orderKey
    expect(Number.isSafeInteger(key) && key >= 0).toBe(true)
    expect(newTable().series('up', { b: '2', c: '', a: '1' }).orderKey).toBe(key)
    expect(newTable({ validation: 'off' }).series('up', { b: '2', c: '', a: '1' }).orderKey).toBe(key)
    expect(newTable({ protocol: '2.0' }).series(undefined, { b: '2', a: '1', __name__: 'up' }).orderKey).toBe(key)
    const others = [{ a: '2', b: '1' }, { a: '12' }, { a: '1', b2: '' }, { ab: '12' }]
    const keys = others.map((labels) => newTable().series('up', labels).orderKey)
    expect(new Set([key, ...keys]).size).toBe(5)
  })

  test('remembers no more than it may, and what it has forgotten it finds anew', () => {
    const table = newTable({ maxSeries: 10 })
    const first = table.series('up', { id: '0' })
    for (let id = 0; id < 1000; id++) {
      table.series('up', { id: String(id) })
      expect(table.size).toBeLessThanOrEqual(10)
    }
    expect(first.isEvicted).toBe(true)
    const again = table.current(first)
    expect(again).not.toBe(first)
    expect(again.labels).toEqual(first.labels)
    expect(again.orderKey).toBe(first.orderKey)
    expect(table.current(again)).toBe(again)
  })

  test('what is no label is not taken for the series that comes next', () => {
    const table = newTable()
    const first = table.series('up', undefined)
    const second = table.series('up', { a: '1' })
    for (let round = 0; round < 3; round++) {
      expect(table.series('up', undefined)).toBe(first)
      expect(table.series('up', { a: '1' })).toBe(second)
      for (const labels of [5, 'a', null, [null], [{ name: 'a' }], { a: 1 }]) {
        expect(() => table.series('up', labels as never)).toThrow(InvalidSeriesError)
      }
    }
  })

  test.each(['normalise', 'strict', 'off'] as const)(
    'what only looks like labels loses none: it is refused, %s',
    (validation) => {
      const table = newTable({ validation })
      const refuse = (metricName: string): void => {
        for (const [labels, what] of NO_LABELS) {
          expect(problemsOf(() => table.series(metricName, labels as never))).toStrictEqual([what])
          expect(problemsOf(() => table.passing(metricName, labels as never))).toStrictEqual([what])
        }
      }
      refuse('up')
      const bare = table.series('up', {})
      for (let round = 0; round < 3; round++) {
        // It is the series that comes next, and it is the one that is found.
        refuse('up')
        refuse('down')
        expect(table.series('up', {})).toBe(bare)
        expect(table.series('up', undefined)).toBe(bare)
        refuse('up')
        table.series('up', { a: '1' })
      }
    },
  )

  test('labels on a prototype are labels, and what is none of them is told', () => {
    const table = newTable()
    expect(table.series('up', Object.create({ a: '1' }) as Labels)).toBe(table.series('up', { a: '1' }))
    expect(problemsOf(() => table.series('up', Object.create({ a: 1 }) as Labels))).toStrictEqual([
      'label "a": a value must be a string, got 1',
    ])
  })

  test('is not filled by series that are refused', () => {
    const table = newTable({ maxSeries: 10 })
    const good = table.series('up', { a: 'x' })
    for (let id = 0; id < 50; id++) expect(() => table.series(`bad name ${id}`, { a: 'x' })).toThrow(InvalidSeriesError)
    expect(table.size).toBe(1)
    expect(table.series('up', { a: 'x' })).toBe(good)
  })

  test('a series larger than the whole table is looked up too', () => {
    const labels = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`l${at}`, `v${at}`]))
    const table = newTable({ maxSeries: 1 })
    expect(table.series('up', labels).labels).toHaveLength(41)
    expect(table.series('down', labels).labels).toHaveLength(41)
  })

  test('says which names remote write 1.0 allows', () => {
    const table = newTable({ protocol: '2.0' })
    expect(table.series('up', { a: '1' }).fits('1.0')).toBe(true)
    expect(table.series('up.time', { a: '1' }).fits('1.0')).toBe(false)
    expect(table.series('up', { 'a-b': '1' }).fits('1.0')).toBe(false)
    expect(table.series('up.time', { a: '1' }).fits('2.0')).toBe(true)
  })
})

describe('validation', () => {
  test('names every problem of a series at once', () => {
    const problems = entryProblems({
      metricName: '0up',
      labels: [
        { name: 'b-c', value: 'x' },
        { name: 'a', value: '\uD800' },
        { name: 'a', value: 'y' },
        { name: '', value: 'z' },
      ],
      samples: [
        { value: 1, timestamp: T },
        { value: '1', timestamp: 1.5 },
        { value: 1, timestamp: 2 ** 53, startTimestamp: Number.NaN },
      ],
      exemplars: [{ labels: { 'trace id': 'x' }, value: 1, timestamp: T }],
      metadata: { type: 'guage', help: 1 },
    })
    expect(problems).toEqual([
      expect.stringContaining("remote write 1.0 wants metric names of letters, digits, '_' and ':'"),
      expect.stringContaining('label 0: remote write 1.0 wants names of letters'),
      "label 3 must have a name, got ''",
      'label names must not repeat, got "a" more than once',
      String.raw`label "a": a value must be well-formed Unicode, got "\ud800"`,
      'sample 1: value must be a number, got "1"',
      'sample 1: timestamp must be an integer of milliseconds, got 1.5',
      'sample 2: timestamp must be an integer of milliseconds, got 9007199254740992',
      'sample 2: startTimestamp must be an integer of milliseconds, got NaN',
      expect.stringContaining('exemplar 0: remote write 1.0 wants label names'),
      expect.stringContaining('metadata: type must be one of unknown, counter, '),
      'metadata: help must be a string, got 1',
    ])
  })

  test.each([
    [
      { metricName: 'up', labels: 5, samples: [{ value: 1, timestamp: T }] },
      'labels must be an object or a list, got 5',
    ],
    [
      { metricName: 'up', labels: { a: 1 }, samples: [{ value: 1, timestamp: T }] },
      'label "a": a value must be a string, got 1',
    ],
    [
      { metricName: 'up', labels: [null], samples: [{ value: 1, timestamp: T }] },
      'label 0: a name must be a string, got undefined',
    ],
    [{ metricName: 5, samples: [{ value: 1, timestamp: T }] }, 'a metric name must be a string, got 5'],
    [{ labels: { a: '1' }, samples: [{ value: 1, timestamp: T }] }, 'it must have a metric name, got none'],
    [{ labels: { __name__: '' }, samples: [{ value: 1, timestamp: T }] }, "a metric name must not be empty, got ''"],
    [
      { metricName: 'up', labels: { __name__: 'up' }, samples: [{ value: 1, timestamp: T }] },
      'label names must not repeat, got "__name__" more than once',
    ],
    [{ metricName: 'up', samples: [] }, 'it must have at least one sample or histogram, got none'],
    [{ metricName: 'up', samples: 'x' }, 'samples must be a list, got "x"'],
    [{ metricName: 'up', samples: null }, 'samples must be a list, got null'],
    [
      { metricName: 'up', samples: [{ value: 1, timestamp: T }], histograms: null },
      'histograms must be a list, got null',
    ],
    [
      { metricName: 'up', samples: [{ value: 1, timestamp: T }], histograms: { length: 0 } },
      'histograms must be a list, got a object',
    ],
    [
      { metricName: 'up', samples: [{ value: 1, timestamp: T }], exemplars: null },
      'exemplars must be a list, got null',
    ],
    [
      { metricName: 'up', samples: [{ value: 1, timestamp: T }], exemplars: [null] },
      'exemplar 0 must be an object, got null',
    ],
    [
      {
        metricName: 'up',
        samples: [{ value: 1, timestamp: T }],
        exemplars: [{ value: 1, timestamp: T, labels: null }],
      },
      'exemplar 0: labels must be an object or a list, got null',
    ],
    [
      {
        metricName: 'up',
        samples: [{ value: 1, timestamp: T }],
        exemplars: [{ value: 1, timestamp: T, labels: new Map([['a', '1']]) }],
      },
      'exemplar 0: labels must be an object or a list, got a Map',
    ],
    [{ metricName: 'up', histograms: [null] }, 'histogram 0 must be an object, got null'],
    [{ metricName: 'up', samples: [null] }, 'sample 0 must be an object, got null'],
    [
      { metricName: 'up', samples: [{ value: 1, timestamp: T, stale: 'yes' }] },
      'sample 0: stale must be a boolean, got "yes"',
    ],
  ])('refuses %j', (timeSeries, problem) => {
    expect(entryProblems(timeSeries)).toContain(problem)
    expect(entryProblems(timeSeries, { validation: 'strict' })).toContain(problem)
  })

  test.each([
    { samples: null },
    { samples: [{ value: 1, timestamp: T }], histograms: null },
    { samples: [{ value: 1, timestamp: T }], exemplars: null },
    { samples: [{ value: 1, timestamp: T }], exemplars: [{ value: 1, timestamp: T, labels: null }] },
    { histograms: [null] },
    { histograms: [{ kind: 'int', timestamp: T, count: 1, sum: 1, schema: 0, positiveSpans: [null] }] },
    { histograms: [{ kind: 'int', timestamp: T, count: 1, sum: 1, schema: 0, customValues: null }] },
  ])('refuses also without validation what has no bytes: %j', (given) => {
    expect(entryProblems({ metricName: 'up', ...given }, { validation: 'off' })).not.toHaveLength(0)
  })

  test('names that 2.0 allows are refused for 1.0 only', () => {
    const series = { metricName: 'http.requests', labels: { 'größe-1': 'x' }, samples: [{ value: 1, timestamp: T }] }
    expect(entryProblems(series)).toHaveLength(2)
    expect(entryProblems(series, { protocol: '2.0' })).toEqual([])
    expect(entryProblems({ ...series, metricName: '\uDC00' }, { protocol: '2.0' })).toHaveLength(1)
    expect(entryProblems({ ...series, labels: { '': 'x' } }, { protocol: '2.0' })).toHaveLength(1)
  })

  test('strict refuses what normalise puts right', () => {
    const samples = [{ value: 1, timestamp: T }]
    const cases: [PrometheusTimeSeries, string][] = [
      [
        { metricName: 'up', labels: { b: '1', a: '2' }, samples },
        'label 1: labels must be sorted by the bytes of their names, got "a" after "b"',
      ],
      [{ metricName: 'up', labels: { a: '' }, samples }, `label "a": a value must not be empty, got ''`],
      [
        { metricName: 'up', samples: [...samples, { value: 1, timestamp: T - 1 }] },
        `sample 1: timestamps must ascend, got ${T - 1} after ${T}`,
      ],
      [
        { metricName: 'up', samples, exemplars: [{ labels: { b: '1', a: '1' }, value: 1, timestamp: T }] },
        'exemplar 0: labels must be sorted by their names',
      ],
    ]
    for (const [series, problem] of cases) {
      expect(entryProblems(series, { validation: 'strict' })).toEqual([problem])
      expect(entryProblems(series)).toEqual([])
    }
    expect(entryProblems({ metricName: 'up', labels: { B: '1', a: '2' }, samples }, { validation: 'strict' })).toEqual(
      [],
    )
  })

  test('refuses native histograms that no receiver takes, and says why', () => {
    const histogram = {
      kind: 'int',
      timestamp: T,
      count: 3,
      sum: 1,
      schema: 0,
      positiveSpans: [{ offset: 0, length: 2 }],
      positiveDeltas: [1, 1],
    }
    const cases: [object, string][] = [
      [{ kind: 'x' }, "histogram 0: kind must be 'int' or 'float', got \"x\""],
      [{ schema: 9 }, 'histogram 0: schema must be -53 or -4 to 8, got 9'],
      [{ schema: 0.5 }, 'histogram 0: schema must be an integer, got 0.5'],
      [
        { positiveDeltas: [1] },
        'histogram 0: positiveSpans must have as many buckets as there are counts, got 2 and 1',
      ],
      [
        { count: -1 },
        'histogram 0: count must be an integer from 0 to 18446744073709551615, and a bigint beyond 2^53, got -1',
      ],
      [
        { positiveDeltas: [1, 1.5] },
        'histogram 0: positiveDeltas[1] must be an integer from -9223372036854775808 to 9223372036854775807, and a bigint beyond 2^53, got 1.5',
      ],
      [
        {
          positiveSpans: [
            { offset: 0, length: 1 },
            { offset: -1, length: 1 },
          ],
        },
        'histogram 0: positiveSpans[1]: offset must not be negative, got -1',
      ],
      [{ customValues: [1] }, 'histogram 0: customValues are for schema -53, got schema 0'],
      [{ schema: -53, customValues: [2, 1] }, 'histogram 0: customValues must ascend, got 1 after 2'],
      [{ resetHint: 'maybe' }, "histogram 0: resetHint must be 'unknown', 'yes', 'no' or 'gauge', got \"maybe\""],
      [{ negativeSpans: null }, 'histogram 0: negativeSpans must be a list, got null'],
      [{ positiveSpans: null }, 'histogram 0: positiveSpans must be a list, got null'],
      [{ negativeDeltas: null }, 'histogram 0: negativeDeltas must be a list, got null'],
      [{ positiveDeltas: 'x' }, 'histogram 0: positiveDeltas must be a list, got "x"'],
      [{ customValues: null }, 'histogram 0: customValues must be a list, got null'],
      [{ zeroThreshold: null }, 'histogram 0: zeroThreshold must be a number, got null'],
      [
        { positiveSpans: [{ offset: 0 }] },
        'histogram 0: positiveSpans[0]: length must be an integer from 0 to 2^32 - 1, got undefined',
      ],
      [{ timestamp: 0.5 }, 'histogram 0: timestamp must be an integer of milliseconds, got 0.5'],
    ]
    expect(entryProblems({ metricName: 'h', histograms: [histogram] })).toEqual([])
    expect(
      entryProblems({ metricName: 'h', histograms: [{ ...histogram, schema: -53, customValues: [1, 2] }] }),
    ).toEqual([])
    for (const [change, problem] of cases) {
      expect(entryProblems({ metricName: 'h', histograms: [{ ...histogram, ...change }] })).toEqual([problem])
    }
  })
})

describe('builder', () => {
  test('does not begin with labels that would be lost', () => {
    const labels = new Map([['a', '1']]) as unknown as Labels
    expect(() => Builders.builderFrom({ metricName: 'up', labels })).toThrow(
      'labels must be an object or a list, got a Map',
    )
  })

  test('builds what was added, and goes on from a copy', () => {
    const builder = Builders.builder().withMetricName('CPU').addLabel('InstanceID', 'i-1').addSample(0.5, T)
    const first = builder.build()
    const second = Builders.builderFrom(first)
      .addLabel('b', '2')
      .addSample(1, T + 1, { stale: true })
      .build()
    expect(first).toEqual({
      metricName: 'CPU',
      labels: [{ name: 'InstanceID', value: 'i-1' }],
      samples: [{ value: 0.5, timestamp: T }],
    })
    expect(second.labels as Label[]).toHaveLength(2)
    expect(second.samples?.[1]).toEqual({ value: 1, timestamp: T + 1, stale: true })
    expect(builder.addSample(2, T).build().samples).toHaveLength(2)
    expect(first.samples).toHaveLength(1)
  })
})

test('a series of more samples than an entry may hold becomes several, in order', () => {
  const samples = Array.from({ length: 7 }, (_, at) => ({ value: at, timestamp: T + ((at * 3) % 7) }))
  const sizes: number[] = []
  const times: number[] = []
  emitTimeSeries(newTable(), { metricName: 'up', samples }, 3, (entry) => {
    sizes.push(entry.size)
    times.push(...(entry.parts?.samples ?? [entry]).map(({ timestamp }) => timestamp))
  })
  expect(sizes).toEqual([3, 3, 1])
  expect(times).toEqual(Array.from({ length: 7 }, (_, at) => T + at))
})

test('an entry with counts beyond 2^53 can be written down', () => {
  const huge = 2n ** 60n
  const histograms = [
    {
      kind: 'int',
      timestamp: T,
      count: huge,
      sum: 1,
      schema: 0,
      positiveSpans: [{ offset: 0, length: 1 }],
      positiveDeltas: [huge],
    } as const,
  ]
  emitTimeSeries(newTable(), { metricName: 'h', histograms }, 500, (entry) => {
    expect(JSON.parse(JSON.stringify(entry))).toMatchObject({
      histograms: [{ count: String(huge), positiveSpans: [{ offset: 0, length: 1 }], positiveDeltas: [String(huge)] }],
    })
  })
  expect.assertions(1)
})
