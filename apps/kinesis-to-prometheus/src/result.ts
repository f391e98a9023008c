import { compareLedger, type LedgerEntry, type LedgerReport } from '@sluice/core/testing'
import type { Prometheus } from '@sluice/testkit'
import { PREFIX, toSamples } from './mapping.ts'
import type { HostRecord } from './records.ts'

/** What is asked when everything is stored. */
export const QUESTION = `avg by (region) (avg_over_time(${PREFIX}cpu_user[1h]))`

/** Sets of (metric, labels, time, value): what PromQL gives for everything that is stored, and what was produced. */
export async function checkResult(produced: readonly HostRecord[], prometheus: Prometheus): Promise<LedgerReport> {
  const series = await prometheus.samples(`{__name__=~"${PREFIX}.+"}`)
  return compareLedger(
    produced.flatMap((record) =>
      toSamples(record).map(({ name, value, timestamp }) =>
        entry({ ...record.dimensions, __name__: name }, timestamp, value),
      ),
    ),
    series.flatMap(({ labels, samples }) => samples.map(({ timestampMs, value }) => entry(labels, timestampMs, value))),
  )
}

function entry(labels: Readonly<Record<string, string>>, timestampMs: number, value: number): LedgerEntry {
  const { __name__: source = '', ...others } = labels
  const key = JSON.stringify(Object.entries(others).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  return { source, key, sequence: timestampMs, hash: String(value) }
}

/** The answer to {@link QUESTION}, as a table for people. */
export async function answer(prometheus: Prometheus): Promise<string> {
  const found = await prometheus.query(QUESTION)
  const rows = found
    .map(({ labels, value }) => [labels['region'] ?? '', value.toFixed(2)] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  const width = Math.max(...rows.map(([region]) => region.length), 'region'.length)
  return [['region', 'cpu_user'] as const, ...rows]
    .map(([region, value]) => `${region.padEnd(width)}  ${value.padStart('cpu_user'.length)}`)
    .join('\n')
}
