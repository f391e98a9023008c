import { type DeadLetter, MetricRegistry } from '@sluice/core'
import { type Prometheus, startRemoteWriteProxy } from '@sluice/testkit'
import { expect, test } from 'vitest'
import type { NativeHistogram } from '../../src/model.ts'
import type { SeriesLike } from '../../src/options-sink.ts'
import { malformedCases, PRIOR } from '../malformed.ts'
import { exemplarsOf, histogramAt } from '../prometheus-api.ts'
import { FLOATS, floatHistogram, intHistogram, NAN_BITS, STALE_BITS, TWENTY, UNICODE } from '../sent-values.ts'
import { NOW, send, startPrometheus3 } from './server.ts'

const V2 = 'application/x-protobuf;proto=io.prometheus.write.v2.Request'

test('floats and every NaN come back bit for bit', async () => {
  await using prometheus = await startPrometheus3()
  const bits = [...FLOATS.map(bitsOf), ...NAN_BITS]
  const samples = bits.map((each, index) => ({ value: floatOf(each), timestamp: NOW - 60_000 + index }))
  await send(prometheus.remoteWriteUrl, [
    { metricName: 'floats', samples },
    { metricName: 'ending', samples: [{ value: 5, timestamp: NOW - 1000 }] },
    { metricName: 'ending', samples: [{ value: 0, timestamp: NOW, stale: true }] },
  ])
  expect(await exactBits(prometheus, 'floats')).toStrictEqual(bits)
  expect(await exactBits(prometheus, 'ending')).toStrictEqual([bitsOf(5), STALE_BITS])
})

test('labels come back as they were given: unicode, twenty of them, and names that 1.0 does not allow', async () => {
  await using prometheus = await startPrometheus3()
  const dotted = { 'service.name': 'shop', größe: 'XL' }
  await send(prometheus.remoteWriteUrl, [
    { name: 'unicode', labels: UNICODE, value: 1, timestamp: NOW },
    { name: 'twenty', labels: TWENTY, value: 2, timestamp: NOW },
    { name: 'http.server.duration', labels: dotted, value: 3, timestamp: NOW },
  ])
  expect(await prometheus.series('{__name__=~"unicode|twenty|http.*"}')).toStrictEqual(
    expect.arrayContaining([
      { __name__: 'unicode', ...UNICODE },
      { __name__: 'twenty', ...TWENTY },
      { __name__: 'http.server.duration', ...dotted },
    ]),
  )
  expect(await prometheus.query('{"http.server.duration", "service.name"="shop"}', NOW)).toMatchObject([{ value: 3 }])
})

test('native histograms of integers, of floats and with bounds of their own come back bucket by bucket', async () => {
  await using prometheus = await startPrometheus3()
  const custom: NativeHistogram = {
    kind: 'int',
    timestamp: NOW,
    schema: -53,
    count: 6,
    sum: 21.5,
    customValues: [1, 5, 10],
    positiveSpans: [{ offset: 0, length: 4 }],
    positiveDeltas: [1, 1, -2, 3],
  }
  const metrics = new MetricRegistry()
  await send(
    prometheus.remoteWriteUrl,
    [
      { metricName: 'latency', histograms: [intHistogram(NOW)] },
      { metricName: 'share', histograms: [floatHistogram(NOW)] },
      { metricName: 'sizes', histograms: [custom] },
    ],
    { metrics },
  )
  expect(metrics.collect().find(({ definition }) => definition.name === 'numHistogramsOut')?.value).toBe(3)
  expect(await histogramAt(prometheus.url, 'latency', NOW)).toMatchObject({ count: '15', sum: '33.25' })
  expect((await histogramAt(prometheus.url, 'latency', NOW))?.buckets?.map(([, , , count]) => count)).toStrictEqual([
    '2',
    '1',
    '2',
    '2',
    '3',
    '5',
  ])
  expect(await histogramAt(prometheus.url, 'share', NOW)).toMatchObject({ count: '4.5', sum: '7.75' })
  expect(await histogramAt(prometheus.url, 'sizes', NOW)).toStrictEqual({
    count: '6',
    sum: '21.5',
    buckets: [
      [3, '-Inf', '1', '1'],
      [0, '1', '5', '2'],
      [0, '10', '+Inf', '3'],
    ],
  })
})

test('exemplars come with their samples', async () => {
  await using prometheus = await startPrometheus3('exemplar-storage')
  const metrics = new MetricRegistry()
  await send(
    prometheus.remoteWriteUrl,
    [
      {
        metricName: 'orders_total',
        labels: { shop: 'a' },
        samples: [{ value: 3, timestamp: NOW }],
        exemplars: [{ labels: { trace_id: 'ä1' }, value: 0.25, timestamp: NOW - 5 }],
      },
    ],
    { metrics },
  )
  expect(metrics.collect().find(({ definition }) => definition.name === 'numExemplarsOut')?.value).toBe(1)
  expect(await exemplarsOf(prometheus.url, 'orders_total', NOW)).toStrictEqual([
    { labels: { trace_id: 'ä1' }, value: '0.25', timestamp: (NOW - 5) / 1000 },
  ])
})

test('metadata says what a metric is: the receiver makes labels of type and unit', async () => {
  await using prometheus = await startPrometheus3('type-and-unit-labels', 'metadata-wal-records')
  await send(prometheus.remoteWriteUrl, [
    {
      name: 'sent_bytes_total',
      value: 7,
      timestamp: NOW,
      metadata: { type: 'counter', unit: 'bytes', help: 'What was sent.' },
    },
    { name: 'heat', value: 8, timestamp: NOW, metadata: { type: 'gauge', unit: 'celsius' } },
  ])
  expect(await prometheus.query('{__type__="counter", __unit__="bytes"}', NOW)).toMatchObject([{ value: 7 }])
  expect(await prometheus.query('{__type__="gauge", __unit__="celsius"}', NOW)).toMatchObject([{ value: 8 }])
})

test('a start timestamp becomes the zero from which a counter began', async () => {
  await using prometheus = await startPrometheus3('created-timestamp-zero-ingestion')
  const startTimestamp = NOW - 50_000
  await send(prometheus.remoteWriteUrl, [
    {
      metricName: 'orders_total',
      metadata: { type: 'counter' },
      samples: [40_000, 20_000, 0].map((ago, index) => ({
        value: 10 * (index + 1),
        timestamp: NOW - ago,
        startTimestamp,
      })),
    },
  ])
  const [orders] = await prometheus.samples('orders_total')
  expect(orders?.samples).toStrictEqual([
    { timestampMs: startTimestamp, value: 0 },
    { timestampMs: NOW - 40_000, value: 10 },
    { timestampMs: NOW - 20_000, value: 20 },
    { timestampMs: NOW, value: 30 },
  ])
})

test("'auto' stays with 2.0 here", async () => {
  await using prometheus = await startPrometheus3()
  await using proxy = await startRemoteWriteProxy({ target: prometheus.remoteWriteUrl })
  await send(proxy.remoteWriteUrl, [{ name: 'up', value: 1, timestamp: NOW }], { protocol: 'auto' })
  await send(proxy.remoteWriteUrl, [{ name: 'up', value: 1, timestamp: NOW + 1000 }], { protocol: '1.0' })
  const types = proxy.journal.map(({ headers }) => headers['content-type'])
  expect(types.at(0)).toBe(V2)
  expect(types.slice(0, -1).every((type) => type === V2)).toBe(true)
  expect(types.at(-1)).toBe('application/x-protobuf')
  expect(await prometheus.samples('up')).toMatchObject([{ samples: [{ value: 1 }, { value: 1 }] }])
})

test('every good series beside malformed ones, 1 in 100, is stored, and every bad one is reported', async () => {
  await using prometheus = await startPrometheus3()
  await using proxy = await startRemoteWriteProxy({ target: prometheus.remoteWriteUrl, bodies: 'hashed' })
  await send(prometheus.remoteWriteUrl, PRIOR)
  // 2.0 allows these names.
  const allowed = new Set(['a metric name with a dot', 'a label name with a dash'])
  const bad = malformedCases('normalise').filter(({ what }) => !allowed.has(what))
  const letters: DeadLetter[] = []
  const series = bad.flatMap((each, block): readonly SeriesLike[] => [
    ...Array.from({ length: 100 }, (_, index) => good(block * 100 + index)),
    each.series,
  ])
  await send(proxy.remoteWriteUrl, series, {
    maxBatchSizeInSamples: 100,
    retryConfiguration: { initialRetryDelayMS: 5 },
    deadLetters: {
      deliver: (letter) => {
        letters.push(letter)
        return Promise.resolve()
      },
    },
  })
  // 2.0 writes the good series of a request that it answers with 400: what it refuses of them when they are sent again, in the search
  // for the bad ones, is not reported. A batch that somebody else had stored before looks the same, and is stored.
  const refused = bad.filter(
    ({ what, byUs, by }) => what !== 'a batch that was stored before' && (byUs || by.includes('prometheus')),
  )
  const reported = letters.map(({ entry, value }) => {
    const text = JSON.stringify(entry ?? value)
    return bad.find(({ mark }) => text.includes(String(mark)))?.what ?? text
  })
  expect(reported.toSorted()).toStrictEqual(refused.map(({ what }) => what).toSorted())
  expect(await prometheus.samples('descending')).toMatchObject([
    { samples: [{ value: 910_011 }, { value: 910_012 }, { value: 910_013 }] },
  ])
  const stored = await prometheus.samples('good')
  expect(stored).toHaveLength(bad.length * 100)
  expect(stored.every(({ labels, samples }) => samples[0]?.value === Number(labels['id']))).toBe(true)
  expect(proxy.journal.length).toBeLessThan(bad.length * 41)
})

function good(id: number): SeriesLike {
  return { name: 'good', labels: { id: String(id) }, value: id, timestamp: NOW }
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
