import * as fc from 'fast-check'
import type {
  BucketSpan,
  Exemplar,
  Label,
  MetricMetadata,
  NativeHistogram,
  PrometheusTimeSeries,
  Sample,
} from '../src/model.ts'

const buffer = new DataView(new ArrayBuffer(8))

/** The 64 bits of a double: tells NaN from NaN, and 0 from -0. */
export function bitsOf(value: number): bigint {
  buffer.setFloat64(0, value)
  return buffer.getBigUint64(0)
}

function doubleOf(bits: bigint): number {
  buffer.setBigUint64(0, bits)
  return buffer.getFloat64(0)
}

const quietNaN = fc
  .bigInt({ min: 0n, max: 2n ** 51n - 1n })
  .map((payload) => doubleOf(0x7ff8_0000_0000_0000n | payload))

const anyDouble = fc.oneof(
  { weight: 4, arbitrary: fc.double() },
  { weight: 2, arbitrary: fc.constantFrom(0, -0, Infinity, -Infinity, Number.NaN, 5e-324, 1.7976931348623157e308) },
  { weight: 1, arbitrary: quietNaN },
)

/** In a list: V8 keeps the payload of a NaN in fields of objects, and not in lists. */
const listedDouble = anyDouble.map((value) => (Number.isNaN(value) ? Number.NaN : value))

export const anyTimestamp = fc.oneof(
  fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }),
  fc.maxSafeInteger(),
  // Both sides of where a varint becomes longer.
  fc
    .tuple(fc.integer({ min: 1, max: 53 }), fc.integer({ min: -2, max: 1 }))
    .map(([power, more]) => 2 ** power - 1 + more - 1),
)

/** Never 0, which says that it is not known. */
const start = anyTimestamp.filter((timestamp) => timestamp !== 0)

export const anySample: fc.Arbitrary<Sample> = fc.record(
  { value: anyDouble, timestamp: anyTimestamp, startTimestamp: start, stale: fc.constant(true) },
  { requiredKeys: ['value', 'timestamp'] },
)

const legacyName = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,20}$/).filter((name) => name !== '__name__')
const text = fc.string({ unit: 'binary', maxLength: 60 }).filter((value) => value.isWellFormed())

/** Few names and values, so that series meet again. */
function labels(name: fc.Arbitrary<string>): fc.Arbitrary<Label[]> {
  const value = fc.oneof(fc.constantFrom('', 'a', 'b', 'é', '😀'), text)
  return fc.uniqueArray(fc.record({ name: fc.oneof(fc.constantFrom('a', 'B', 'c'), name), value }), {
    selector: (label) => label.name,
    maxLength: 6,
  })
}

function exemplar(name: fc.Arbitrary<string>): fc.Arbitrary<Exemplar> {
  return fc.record({ labels: labels(name), value: anyDouble, timestamp: anyTimestamp })
}

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const spanLength = fc.integer({ min: 0, max: 4 })

function spansFor(count: number): fc.Arbitrary<BucketSpan[]> {
  if (count === 0) return fc.constant([])
  return fc.tuple(int32, fc.nat({ max: count }), fc.nat({ max: 2 ** 31 - 1 })).map(([first, length, offset]) => [
    { offset: first, length },
    { offset, length: count - length },
  ])
}

const delta = fc.oneof(fc.maxSafeInteger(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
const count = fc.oneof(fc.maxSafeNat(), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }))

function list<T>(of: fc.Arbitrary<T>, length: number): fc.Arbitrary<T[]> {
  return fc.array(of, { minLength: length, maxLength: length })
}

const anyHistogram: fc.Arbitrary<NativeHistogram> = fc
  .tuple(spanLength, spanLength, fc.boolean())
  .chain(([negative, positive, isFloat]): fc.Arbitrary<NativeHistogram> => {
    const shape = {
      timestamp: anyTimestamp,
      sum: anyDouble,
      schema: fc.integer({ min: -4, max: 8 }),
      zeroThreshold: anyDouble,
      negativeSpans: spansFor(negative),
      positiveSpans: spansFor(positive),
      resetHint: fc.constantFrom('unknown', 'yes', 'no', 'gauge'),
    } as const
    return isFloat
      ? fc.record({
          kind: fc.constant('float' as const),
          ...shape,
          startTimestamp: start,
          count: anyDouble,
          zeroCount: anyDouble,
          negativeCounts: list(listedDouble, negative),
          positiveCounts: list(listedDouble, positive),
        })
      : fc.record({
          kind: fc.constant('int' as const),
          ...shape,
          count,
          zeroCount: count,
          negativeDeltas: list(delta, negative),
          positiveDeltas: list(delta, positive),
        })
  })

const metadata: fc.Arbitrary<MetricMetadata> = fc.record(
  {
    type: fc.constantFrom('unknown', 'counter', 'gauge', 'histogram', 'gaugehistogram', 'summary', 'info', 'stateset'),
    help: text,
    unit: text,
  },
  { requiredKeys: [] },
)

/** Series that a receiver of the version would take. */
export function anySeries(protocol: '1.0' | '2.0'): fc.Arbitrary<PrometheusTimeSeries> {
  const name =
    protocol === '1.0'
      ? legacyName
      : fc.oneof(
          legacyName,
          text.filter((value) => value !== ''),
        )
  const usable = name.filter((value) => value !== '__name__')
  return fc
    .record(
      {
        metricName: fc.oneof(fc.constantFrom('up', 'cpu'), usable),
        labels: labels(usable),
        samples: fc.array(anySample, { maxLength: 5 }),
        histograms: fc.array(anyHistogram, { maxLength: 2 }),
        exemplars: fc.array(exemplar(usable), { maxLength: 2 }),
        metadata,
      },
      { requiredKeys: ['metricName', 'labels', 'samples', 'histograms'] },
    )
    .filter(({ samples, histograms }) => samples.length + histograms.length > 0)
}
