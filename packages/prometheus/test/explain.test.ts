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
    expect(twice.entries).toStrictEqual([])
    expect(twice.refusal).toMatchObject({ code: 'convertThrew' })
    expect(twice.refusal?.message).toContain('label names must not repeat')
  })

  test.each<[string, unknown]>([
    ['null', null],
    ['a number', 5],
    ['a promise', Promise.resolve()],
    ['a list with a hole', [undefined]],
    ['an empty object', {}],
  ])('%s is refused, and nothing is thrown', (_, given) => {
    expect(sink().explain(given as SeriesLike).refusal?.code).toBe('convertThrew')
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
