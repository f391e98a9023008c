import type { Explanation } from '@sluice/core'
import { describe, expect, test } from 'vitest'
import type { PrometheusSinkOptions, SeriesLike } from '../src/options-sink.ts'
import { PrometheusSink } from '../src/sink.ts'

const T = 1_700_000_000_000

function sink(options: Partial<PrometheusSinkOptions> = {}): PrometheusSink {
  return new PrometheusSink<SeriesLike>({ prometheusRemoteWriteUrl: 'http://localhost/', ...options })
}

describe('explain', () => {
  test('tells what would be sent, in the form in which it is', () => {
    const explained = sink({ tenant: 'team' }).explain({
      name: 'cpu',
      labels: { host: 'a' },
      value: 12.5,
      timestamp: T,
    })
    expect(explained).toStrictEqual({
      entries: [
        {
          entry: { labels: { __name__: 'cpu', host: 'a' }, samples: [{ value: 12.5, timestamp: T }] },
          sizeInBytes: 48,
          weight: 1,
          destination: 'team',
          refusals: [],
        },
      ],
    })
  })

  test('cuts a long series as the writer does', () => {
    const samples = Array.from({ length: 25 }, (_, index) => ({ value: index, timestamp: T + index }))
    const { entries } = sink({ maxBatchSizeInSamples: 10 }).explain({ metricName: 'big', samples })
    expect(entries.map(({ weight }) => weight)).toStrictEqual([10, 10, 5])
  })

  test('puts in order what can be, and refuses what cannot', () => {
    const labels = [
      { name: 'b', value: '1' },
      { name: 'a', value: '2' },
      { name: 'empty', value: '' },
    ]
    const { entries } = sink().explain({ metricName: 'up', labels, samples: [{ value: 1, timestamp: T }] })
    expect(JSON.stringify(entries[0]?.entry)).toContain('{"__name__":"up","a":"2","b":"1"}')
    const twice = sink().explain({
      metricName: 'up',
      labels: [...labels, { name: 'a', value: '3' }],
      samples: [{ value: 1, timestamp: T }],
    })
    expect(twice.refusal).toBeUndefined()
    expect(twice.entries).toMatchObject([
      { entry: { metricName: 'up' }, sizeInBytes: 0, weight: 0, refusals: [{ code: 'invalidSeries' }] },
    ])
    expect(twice.entries[0]?.refusals[0]?.message).toContain('label names must not repeat, got "a"')
  })

  describe('of a list with a series that breaks the rules', () => {
    const given: readonly SeriesLike[] = [
      { name: 'good', value: 1, timestamp: T },
      { name: 'bad name', value: 1, timestamp: T },
      { name: 'better', value: 1, timestamp: T },
    ]

    function explained(onPrometheusNonRetriableError?: 'FAIL' | 'DISCARD_AND_CONTINUE'): Explanation {
      return new PrometheusSink<readonly SeriesLike[]>({
        prometheusRemoteWriteUrl: 'http://localhost/',
        elementConverter: (list) => list,
        ...(onPrometheusNonRetriableError === undefined
          ? {}
          : { errorHandlingBehaviorConfiguration: { onPrometheusNonRetriableError } }),
      }).explain(given)
    }

    test.each([undefined, 'DISCARD_AND_CONTINUE'] as const)('tells what is sent and what is dropped, %s', (policy) => {
      const { entries, refusal } = explained(policy)
      expect(refusal).toBeUndefined()
      expect(entries.map(({ refusals }) => refusals.map(({ code }) => code))).toStrictEqual([[], ['invalidSeries'], []])
      expect(JSON.stringify(entries[2]?.entry)).toContain('"__name__":"better"')
      expect(entries[1]?.refusals[0]?.message).toContain('got "bad name"')
    })

    test('tells that FAIL refuses the value as a whole', () => {
      expect(explained('FAIL')).toMatchObject({ entries: [], refusal: { code: 'convertThrew' } })
    })
  })

  test.each<[string, unknown]>([
    ['null', null],
    ['a number', 5],
    ['a promise', Promise.resolve()],
    ['a list with a hole', [undefined]],
  ])('%s is refused, and nothing is thrown', (_, given) => {
    expect(sink().explain(given as SeriesLike).refusal?.code).toBe('convertThrew')
  })

  test('an empty object is a series that breaks the rules', () => {
    const { entries } = sink().explain({})
    expect(entries).toMatchObject([{ refusals: [{ code: 'invalidSeries' }] }])
  })

  test('a value that becomes nothing has no entries and no refusal', () => {
    expect(sink({ elementConverter: () => undefined }).explain({ name: 'up', value: 1, timestamp: T })).toStrictEqual({
      entries: [],
    })
  })

  test('a tenant that is no header is refused', () => {
    const { refusal } = sink({ tenant: () => 'a\nb' }).explain({ name: 'up', value: 1, timestamp: T })
    expect(refusal?.message).toContain('tenant must give visible ASCII text')
  })
})
