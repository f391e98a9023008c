// node packages/prometheus/bench/encode.ts [--rounds N] [--case part-of-a-name]
import { parseArgs } from 'node:util'
import snappyjs from 'snappyjs'
import { createCompressor } from '../src/compress.ts'
import { createEncoder } from '../src/encode.ts'
import { emitTimeSeries } from '../src/entries.ts'
import type { ValidationPolicy } from '../src/model.ts'
import { SeriesTable } from '../src/series-table.ts'
import { Entry, type Series } from '../src/series.ts'
import { interleave, median, type Rates, quantile, type Variant } from './measure.ts'
import { sameContent } from './same-content.ts'
import { type OwnSeries, peerRequests, requests, type Shape } from './workload.ts'
import { prometheus } from './write-request.js'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, case: { type: 'string', default: '' } },
})
const ROUNDS = Number(values.rounds)
const REQUESTS = 40
/** Requests that are decoded, and then encoded, together. */
const TOGETHER = 10
const { WriteRequest } = prometheus

function table(validation: ValidationPolicy): SeriesTable {
  return new SeriesTable({ protocol: '1.0', validation, maxSeries: 100_000 })
}

/** Series that are made before the clock starts; each sample is added by itself. */
function handles(shape: Shape): Variant {
  const series = table('normalise')
  const encoder = createEncoder('1.0', series.rules)
  return {
    name: 'ours',
    *parts(round) {
      for (const some of decoded(requests(shape, round * REQUESTS, REQUESTS))) {
        const prepared = some.map((request) => addsOf(series, request))
        yield () => {
          for (const adds of prepared) {
            const entries: Entry[] = []
            for (const { handle, value, timestamp } of adds) {
              if (typeof value !== 'number' || !Number.isSafeInteger(timestamp)) throw new TypeError('not a sample')
              entries.push(new Entry(series.current(handle), value, timestamp, 0, false, undefined))
            }
            encoder.encode(entries)
          }
        }
      }
    },
  }
}

/** What a program that holds handles has at hand: a handle, a value and a time. */
function addsOf(
  series: SeriesTable,
  request: readonly OwnSeries[],
): { readonly handle: Series; readonly value: number; readonly timestamp: number }[] {
  return request.flatMap(({ metricName, labels, samples }) => {
    const handle = series.series(metricName, labels)
    return samples.map(({ value, timestamp }) => ({ handle, value, timestamp }))
  })
}

function freshObjects(shape: Shape, validation: ValidationPolicy): Variant {
  const series = table(validation)
  const encoder = createEncoder('1.0', series.rules)
  return {
    name: 'ours',
    *parts(round) {
      for (const some of decoded(requests(shape, round * REQUESTS, REQUESTS))) {
        yield () => {
          for (const request of some) encoder.encode(entriesOf(series, request))
        }
      }
    },
  }
}

function entriesOf(series: SeriesTable, request: readonly OwnSeries[]): Entry[] {
  const entries: Entry[] = []
  const emit = (entry: Entry): void => void entries.push(entry)
  for (const each of request) emitTimeSeries(series, each, 500, emit)
  return entries
}

function protobufjsStatic(shape: Shape): Variant {
  return {
    name: 'peer',
    *parts(round) {
      for (const some of decoded(peerRequests(requests(shape, round * REQUESTS, REQUESTS)))) {
        yield () => {
          for (const request of some) WriteRequest.encode(request).finish()
        }
      }
    },
  }
}

/** Lists of requests, decoded from text one list after another. */
function* decoded<T>(list: readonly T[]): Generator<T[]> {
  for (let from = 0; from < list.length; from += TOGETHER) {
    yield JSON.parse(JSON.stringify(list.slice(from, from + TOGETHER))) as T[]
  }
}

function print(name: string, peerName: string, unit: string, rates: ReadonlyMap<string, Rates>): void {
  const [ours, peer] = ['ours', 'peer'].map((variant) => {
    const of = rates.get(variant) ?? []
    return {
      median: Math.round(median(of)),
      lower: Math.round(quantile(of, 0.25)),
      upper: Math.round(quantile(of, 0.75)),
    }
  })
  const ratio = Math.round(((ours?.median ?? 0) / (peer?.median ?? 1)) * 100) / 100
  console.log(JSON.stringify({ bench: 'remote-write-encode', case: name, ours, peer, peerName, unit, ratio }))
}

function encodeCase(name: string, shape: Shape, ours: (shape: Shape) => Variant): void {
  if (!name.includes(values.case)) return
  const work = shape.series * shape.samples * REQUESTS
  print(name, 'protobufjs static', 'samples/CPU-s', interleave([ours(shape), protobufjsStatic(shape)], ROUNDS, work))
}

function compressCase(name: string, shape: Shape): void {
  if (!name.includes(values.case)) return
  const bodies = peerRequests(requests(shape, 0, REQUESTS)).map((request) => WriteRequest.encode(request).finish())
  const compress = createCompressor()
  const work = bodies.reduce((sum, { byteLength }) => sum + byteLength, 0) / 1e6
  const variants = [compress, snappyjs.compress].map((run, index) => ({
    name: index === 0 ? 'ours' : 'peer',
    *parts() {
      yield () => {
        for (const body of bodies) run(body)
      }
    },
  }))
  const kilobytes = Math.round((work * 1000) / REQUESTS)
  print(`${name} (${kilobytes} kB)`, 'snappyjs', 'MB/CPU-s', interleave(variants, ROUNDS, work))
}

for (const [series, samples] of [
  [500, 1],
  [100, 5],
  [50, 10],
] as const) {
  for (const labels of [2, 8, 20]) {
    const shape: Shape = { series, samples, labels, newPercent: 0 }
    const first = requests(shape, 0, 1)
    for (const request of first) {
      for (const peer of peerRequests(first))
        sameContent(entriesOf(table('normalise'), request), WriteRequest.encode(peer).finish())
    }
    const size = `${series}x${samples}, ${labels} labels`
    encodeCase(`handles ${size}`, shape, handles)
    encodeCase(`fresh objects ${size}, 0 % new, in another order each time`, { ...shape, isShuffled: true }, (each) =>
      freshObjects(each, 'normalise'),
    )
    for (const newPercent of [0, 10, 100]) {
      encodeCase(`fresh objects ${size}, ${newPercent} % new`, { ...shape, newPercent }, (each) =>
        freshObjects(each, 'normalise'),
      )
    }
    encodeCase(`fresh objects ${size}, 100 % new, validation off`, { ...shape, newPercent: 100 }, (each) =>
      freshObjects(each, 'off'),
    )
  }
}
compressCase('compress 100x5', { series: 100, samples: 5, labels: 10, newPercent: 0 })
compressCase('compress 500x1', { series: 500, samples: 1, labels: 13, newPercent: 0 })
