import { debianPackageOrSkip, type Prometheus, startPrometheus, startVictoriaMetrics } from '@sluice/testkit'
import { describe, expect, test } from 'vitest'
import { RemoteWriteClient } from '../src/client.ts'
import type { SeriesLike } from '../src/options-sink.ts'
import { exemplarsOf, histogramAt } from './prometheus-api.ts'
import { FLOATS, floatHistogram, intHistogram, NAN_BITS, STALE_BITS, TWENTY, UNICODE } from './sent-values.ts'

const NOW = Math.floor(Date.now() / 1000) * 1000
const FEATURES = ['--enable-feature=native-histograms,exemplar-storage']
const WINDOWS: readonly (readonly [string, Partial<Record<'outOfOrderTimeWindow', string>>])[] = [
  ['without an out-of-order window', {}],
  ['with an out-of-order window', { outOfOrderTimeWindow: '10m' }],
]

const withoutPrometheus = await debianPackageOrSkip('prometheus', 'prometheus')
const withoutVictoriaMetrics = await debianPackageOrSkip('victoriametrics', 'victoria-metrics')

describe.skipIf(withoutPrometheus).each(WINDOWS)('Prometheus %s', (_, options) => {
  test('gives floats and every NaN back bit for bit', async () => {
    await using prometheus = await startPrometheus(options)
    const bits = [...FLOATS.map(bitsOf), ...NAN_BITS]
    const samples = bits.map((each, index) => ({ value: floatOf(each), timestamp: NOW - 60_000 + index }))
    await send(prometheus.remoteWriteUrl, [
      { metricName: 'floats', samples },
      { metricName: 'ending', samples: [{ value: 5, timestamp: NOW - 1000 }] },
      { metricName: 'ending', samples: [{ value: 0, timestamp: NOW, stale: true }] },
      { metricName: 'negative_zero', samples: [{ value: -0, timestamp: NOW }] },
    ])
    expect(await exactBits(prometheus, 'floats')).toStrictEqual(bits)
    expect(await exactBits(prometheus, 'ending')).toStrictEqual([bitsOf(5), STALE_BITS])
    const [zero] = await prometheus.query('1 / negative_zero', NOW)
    expect(zero?.value).toBe(-Infinity)
    const [floats] = await prometheus.samples('floats')
    expect(floats?.samples.slice(0, FLOATS.length).map(({ value }) => value)).toStrictEqual(FLOATS)
  })

  test('has the labels as they were given: unicode, and twenty of them', async () => {
    await using prometheus = await startPrometheus(options)
    await send(prometheus.remoteWriteUrl, labelled())
    expect(await prometheus.series('{__name__=~"unicode|twenty"}')).toStrictEqual(
      expect.arrayContaining([
        { __name__: 'unicode', ...UNICODE },
        { __name__: 'twenty', ...TWENTY },
      ]),
    )
    expect(await prometheus.query('unicode{emoji="🚰👩‍🔬",greek="Ωμέγα"}', NOW)).toMatchObject([{ value: 1 }])
  })

  test('reads native histograms bucket by bucket, and exemplars', async () => {
    await using prometheus = await startPrometheus({ ...options, args: FEATURES })
    await send(prometheus.remoteWriteUrl, [
      { metricName: 'latency', histograms: [intHistogram(NOW)] },
      { metricName: 'share', histograms: [floatHistogram(NOW)] },
      {
        metricName: 'orders_total',
        labels: { shop: 'a' },
        samples: [{ value: 3, timestamp: NOW }],
        exemplars: [{ labels: { trace_id: 'ä1' }, value: 0.25, timestamp: NOW - 5 }],
      },
    ])
    expect(await histogramAt(prometheus.url, 'latency', NOW)).toStrictEqual({
      count: '15',
      sum: '33.25',
      buckets: [
        [1, '-1.414213562373095', '-1', '2'],
        [1, '-1', '-0.7071067811865475', '1'],
        [3, '-0.001', '0.001', '2'],
        [0, '0.7071067811865475', '1', '2'],
        [0, '1', '1.414213562373095', '3'],
        [0, '2', '2.82842712474619', '5'],
      ],
    })
    expect(await histogramAt(prometheus.url, 'share', NOW)).toStrictEqual({
      count: '4.5',
      sum: '7.75',
      buckets: [
        [3, '-0.125', '0.125', '0.5'],
        [0, '0.25', '0.5', '1.5'],
        [0, '0.5', '1', '2.5'],
      ],
    })
    expect(await prometheus.query('histogram_quantile(0, latency) < 0', NOW)).toHaveLength(1)
    expect(await exemplarsOf(prometheus.url, 'orders_total', NOW)).toStrictEqual([
      { labels: { trace_id: 'ä1' }, value: '0.25', timestamp: (NOW - 5) / 1000 },
    ])
  })
})

describe.skipIf(withoutVictoriaMetrics)('VictoriaMetrics', () => {
  test('gives numbers, infinities, and the ends of series back', async () => {
    await using metrics = await startVictoriaMetrics()
    // It keeps decimal numbers: those of one series share their exponent.
    const numbers = [0, 1, -1, 17, 2 ** 40, -(2 ** 40)]
    const fractions = [0.1, -0.25, 12.5, 99.9]
    const at = (value: number, index: number): { value: number; timestamp: number } => ({
      value,
      timestamp: NOW - 60_000 + index * 1000,
    })
    await send(metrics.remoteWriteUrl, [
      { metricName: 'numbers', samples: numbers.map(at) },
      { metricName: 'fractions', samples: fractions.map(at) },
      { metricName: 'infinities', samples: [Infinity, -Infinity].map(at) },
      { metricName: 'ending', samples: [at(5, 0), { ...at(0, 1), stale: true }] },
      { metricName: 'nothing', samples: [at(Number.NaN, 0), at(1, 1)] },
    ])
    const values = async (selector: string): Promise<readonly number[] | undefined> =>
      (await metrics.samples(selector))[0]?.samples.map(({ value }) => value)
    expect(await values('numbers')).toStrictEqual(numbers)
    expect(await values('fractions')).toStrictEqual(fractions)
    expect(await values('infinities')).toStrictEqual([Infinity, -Infinity])
    expect(await values('ending')).toStrictEqual([5, Number.NaN])
    // It has no place for an ordinary NaN.
    expect(await values('nothing')).toStrictEqual([1])
    expect(await metrics.query('sum(fractions)', NOW)).toMatchObject([{ value: 99.9 }])
  })

  test('has the labels as they were given: unicode, and twenty of them', async () => {
    await using metrics = await startVictoriaMetrics({ args: ['-maxLabelValueLen=4096'] })
    await send(metrics.remoteWriteUrl, labelled())
    const found = (await metrics.samples('{__name__=~"unicode|twenty"}')).map(({ labels }) => labels)
    expect(found).toHaveLength(2)
    expect(found).toStrictEqual(
      expect.arrayContaining([
        { __name__: 'unicode', ...UNICODE },
        { __name__: 'twenty', ...TWENTY },
      ]),
    )
  })
})

/** Samples of one series are one record: in it they go in one request, whatever they are. */
async function send(prometheusRemoteWriteUrl: string, series: readonly SeriesLike[]): Promise<void> {
  await using client = new RemoteWriteClient({ prometheusRemoteWriteUrl })
  await client.write(series)
  await client.close()
}

function labelled(): readonly SeriesLike[] {
  return [
    { name: 'unicode', labels: UNICODE, value: 1, timestamp: NOW },
    { name: 'twenty', labels: TWENTY, value: 2, timestamp: NOW },
  ]
}

async function exactBits(prometheus: Prometheus, name: string): Promise<readonly bigint[] | undefined> {
  const [series] = await prometheus.exactSamples({ __name__: name })
  return series?.samples.map(({ bits }) => bits)
}

function bitsOf(value: number): bigint {
  return new BigUint64Array(Float64Array.of(value).buffer)[0] ?? 0n
}

function floatOf(bits: bigint): number {
  return new Float64Array(BigUint64Array.of(bits).buffer)[0] ?? 0
}
