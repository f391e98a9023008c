import { type MinimalFetch, pushTimeseries, type Timeseries } from 'prometheus-remote-write'
import type { Round } from '../measure.ts'
import { Content } from './content.ts'
import { type Made, timed } from './portions.ts'
import { createCompressor, createEncoder, type Entry, recordEntry, SeriesTable } from './subject.ts'
import type { RunRound } from './tasks.ts'
import { type FlatRecord, flatRequests, requests, type Shape } from './workload.ts'

/** Requests under the clock, and before the first round: until then code is compiled. */
export const FLAT_REQUESTS = 100
const WARM_UP_REQUESTS = 1000

export const FLAT_PEERS = ['prometheus-remote-write, grouped', 'prometheus-remote-write, ungrouped'] as const
export type FlatVariant = 'flat records' | (typeof FLAT_PEERS)[number]

/** Flat records to compressed bytes, the rounds of one variant. */
export async function flatRounds(variant: FlatVariant, shape: Shape): Promise<RunRound> {
  const work = variant === 'flat records' ? ours() : peer(variant === 'prometheus-remote-write, grouped')
  const run = (from: number, content: Content | undefined): Promise<Omit<Round, 'output'>> =>
    timed(
      flatRequests(requests(shape, from, FLAT_REQUESTS)),
      1,
      (decoded) => decoded,
      work,
      ({ last }) => content?.addCompressed(last),
    )
  for (let from = 0; from < WARM_UP_REQUESTS; from += FLAT_REQUESTS) await run(from, undefined)
  return async (round) => {
    const content = new Content()
    const cost = await run(WARM_UP_REQUESTS + round * FLAT_REQUESTS, content)
    return { ...cost, output: content.digest() }
  }
}

type Work = (decoded: readonly (readonly FlatRecord[])[]) => Made | Promise<Made>

function ours(): Work {
  const table = new SeriesTable({ protocol: '1.0', validation: 'normalise' })
  const encoder = createEncoder('1.0', table.rules)
  const compress = createCompressor()
  return (decoded) => {
    let last: Uint8Array = new Uint8Array()
    let bytes = 0
    for (const request of decoded) {
      const entries: Entry[] = []
      for (const record of request) entries.push(recordEntry(table, record))
      last = compress(encoder.encode(entries))
      bytes += last.byteLength
    }
    return { bytes, last }
  }
}

/** Its whole path but for the network: what it hands to `fetch` are the compressed bytes. */
function peer(isGrouped: boolean): Work {
  return async (decoded) => {
    let last: Uint8Array = new Uint8Array()
    let bytes = 0
    const fetch: MinimalFetch = (_url, init) => {
      // It says that it were an ArrayBuffer.
      last = init?.body as unknown as Uint8Array
      bytes += last.byteLength
      return ANSWER
    }
    for (const request of decoded) {
      await pushTimeseries(isGrouped ? grouped(request) : ungrouped(request), { url: 'http://none', fetch })
    }
    return { bytes, last }
  }
}

const ANSWER = Promise.resolve({ status: 204, statusText: 'No Content', text: () => Promise.resolve('') })

/** Its input, with a series for each record. */
export function ungrouped(records: readonly FlatRecord[]): Timeseries[] {
  return records.map(({ name, labels, value, timestamp }) => ({
    labels: { __name__: name, ...labels },
    samples: [{ value, timestamp }],
  }))
}

/** Its input, with the samples of a series together, found by a key that is put together of the labels: that costs less than JSON. */
export function grouped(records: readonly FlatRecord[]): Timeseries[] {
  const series = new Map<string, Timeseries>()
  for (const { name, labels, value, timestamp } of records) {
    let key = name
    for (const label in labels) key += `\u0000${label}\u0000${labels[label]}`
    const known = series.get(key)
    if (known === undefined) series.set(key, { labels: { __name__: name, ...labels }, samples: [{ value, timestamp }] })
    else known.samples.push({ value, timestamp })
  }
  return [...series.values()]
}
