import { labelList } from '../src/time-series.ts'
import type { Label, NativeHistogram, PrometheusTimeSeries, Sample } from '../src/model.ts'
import { bitsOf } from './wire-arbitraries.ts'

/** What has been sent of one series: all doubles by their bits. */
export interface Content {
  readonly samples: readonly string[]
  readonly histograms: readonly unknown[]
  readonly exemplars: readonly unknown[]
}

type Sent = Pick<PrometheusTimeSeries, 'samples' | 'histograms' | 'exemplars'> & { readonly labels: readonly Label[] }

const STALE = 0x7ff0_0000_0000_0002n

/** By labels everything that requests say, in the order of time, whatever the order of series. */
export function contentOf(series: readonly Sent[], hasStart: boolean): Map<string, Content> {
  const merged = new Map<string, Sent[]>()
  for (const each of series) {
    const key = JSON.stringify(each.labels.map(({ name, value }) => [name, value]))
    merged.set(key, [...(merged.get(key) ?? []), each])
  }
  return new Map(
    [...merged].map(([key, list]) => [
      key,
      {
        samples: byTime(list.flatMap(({ samples = [] }) => samples)).map((sample) => sampleText(sample, hasStart)),
        histograms: byTime(list.flatMap(({ histograms = [] }) => histograms)).map((each) =>
          exact(full(each, hasStart)),
        ),
        exemplars: byTime(list.flatMap(({ exemplars = [] }) => exemplars)).map(({ labels, value, timestamp }) =>
          exact({ labels: sentLabels(undefined, labelList(labels)), value, timestamp }),
        ),
      },
    ]),
  )
}

/** The labels of a series as they must be sent. */
export function sentLabels(metricName: string | undefined, labels: readonly Label[]): Label[] {
  const all = metricName === undefined ? labels : [{ name: '__name__', value: metricName }, ...labels]
  return all
    .filter(({ value }) => value !== '')
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
    .map(({ name, value }) => ({ name, value }))
}

function sampleText({ value, timestamp, startTimestamp = 0, stale = false }: Sample, hasStart: boolean): string {
  return `${timestamp} ${(stale ? STALE : bitsOf(value)).toString(16)} ${hasStart ? startTimestamp : 0}`
}

function full(histogram: NativeHistogram, hasStart: boolean): object {
  const { startTimestamp = 0, ...rest } = histogram
  return { zeroThreshold: 0, customValues: [], ...rest, startTimestamp: hasStart ? startTimestamp : 0 }
}

/** Doubles by their bits, and integers whatever their type. */
function exact(value: unknown): unknown {
  if (typeof value === 'bigint') return exact(Number.isSafeInteger(Number(value)) ? Number(value) : value.toString())
  if (typeof value === 'number') return bitsOf(value).toString(16)
  if (Array.isArray(value)) return value.map(exact)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, exact(each)]))
}

function byTime<T extends { readonly timestamp: number }>(list: readonly T[]): T[] {
  return list.toSorted((a, b) => a.timestamp - b.timestamp)
}
