import type { Round } from '../measure.ts'
import { Content } from './content.ts'
import { type Made, timed } from './portions.ts'
import { createEncoder, emitTimeSeries, Entry, type Series, SeriesTable } from './subject.ts'
import type { RunRound } from './tasks.ts'
import { type OwnSeries, peerRequests, POPULATION_REQUESTS, requests, type Shape } from './workload.ts'
import { prometheus } from './write-request.js'

/** Samples under the clock. */
const ROUND_SAMPLES = 100_000
/** Rounds' worth of samples before the first one: until then code is compiled, and the table is as full as it gets. */
const WARM_UP_ROUNDS = 7

const MAX_SAMPLES = 500

export const ENCODE_VARIANTS = ['handles', 'fresh', 'fresh, validation off', 'protobufjs static'] as const
export type EncodeVariant = (typeof ENCODE_VARIANTS)[number]

/** Samples that a round works on. */
export function encodeWork(shape: Shape): number {
  const { count, times } = plan(shape)
  return count * times * shape.series * shape.samples
}

/** Where nothing is new, the same requests are decoded several times: new objects, old series. */
function plan({ series, samples, newPercent }: Shape): { readonly count: number; readonly times: number } {
  const count = ROUND_SAMPLES / (series * samples)
  return newPercent === 0 ? { count: POPULATION_REQUESTS, times: count / POPULATION_REQUESTS } : { count, times: 1 }
}

/** The rounds of one variant. The warm-up and each round have requests of their own. */
export async function encodeRounds(variant: EncodeVariant, shape: Shape): Promise<RunRound> {
  const run = RUNS[variant](shape)
  const { count, times } = plan(shape)
  const requestsOf = (round: number): OwnSeries[][] => requests(shape, round * count, count)
  for (let round = 0; round < WARM_UP_ROUNDS; round++) await run(requestsOf(round), times, undefined)
  return async (round) => {
    const content = new Content()
    const cost = await run(requestsOf(WARM_UP_ROUNDS + round), times, content)
    return { ...cost, output: content.digest() }
  }
}

type Own = readonly (readonly OwnSeries[])[]
type Run = (
  own: readonly (readonly OwnSeries[])[],
  times: number,
  content: Content | undefined,
) => Promise<Omit<Round, 'output'>>

const RUNS: Readonly<Record<EncodeVariant, (shape: Shape) => Run>> = {
  handles: () => {
    const table = new SeriesTable({ protocol: '1.0', validation: 'normalise' })
    const encoder = createEncoder('1.0', table.rules)
    return runOf(
      (own) => own,
      (decoded) => decoded.map((request) => addsOf(table, request)),
      (prepared) => {
        let last: Uint8Array = new Uint8Array()
        let bytes = 0
        for (const adds of prepared) {
          const entries: Entry[] = []
          for (let index = 0; index < adds.length; index++) {
            const { handle, value, timestamp } = adds[index] as Add
            // As the handle's `add` does.
            if (typeof value !== 'number' || !Number.isSafeInteger(timestamp)) throw new TypeError('not a sample')
            entries.push(new Entry(handle, value, timestamp, 0, false, undefined))
          }
          last = encoder.encode(entries)
          bytes += last.byteLength
        }
        return { bytes, last }
      },
    )
  },
  fresh: () => freshObjects('normalise'),
  'fresh, validation off': () => freshObjects('off'),
  'protobufjs static': () =>
    runOf(
      peerRequests,
      (decoded) => decoded,
      (decoded): Made => {
        let last: Uint8Array = new Uint8Array()
        let bytes = 0
        for (const request of decoded) {
          last = prometheus.WriteRequest.encode(request).finish()
          bytes += last.byteLength
        }
        return { bytes, last }
      },
    ),
}

/** The functions are made once: code that was compiled before the clock starts is that of the same functions. */
function runOf<Input, Prepared>(
  inputsOf: (own: Own) => readonly Input[],
  prepare: (decoded: readonly Input[]) => Prepared,
  work: (prepared: Prepared) => Made,
): Run {
  return (own, times, content) => timed(inputsOf(own), times, prepare, work, ({ last }) => content?.add(last))
}

interface Add {
  readonly handle: Series
  readonly value: number
  readonly timestamp: number
}

/** What a program that holds handles has at hand: a handle, a value and a time. */
function addsOf(table: SeriesTable, request: readonly OwnSeries[]): Add[] {
  return request.flatMap(({ metricName, labels, samples }) => {
    const handle = table.series(metricName, labels)
    return samples.map(({ value, timestamp }) => ({ handle, value, timestamp }))
  })
}

function freshObjects(validation: 'normalise' | 'off'): Run {
  const table = new SeriesTable({ protocol: '1.0', validation })
  const encoder = createEncoder('1.0', table.rules)
  return runOf(
    (own) => own,
    (decoded) => decoded,
    (decoded) => {
      let last: Uint8Array = new Uint8Array()
      let bytes = 0
      for (const request of decoded) {
        const entries: Entry[] = []
        const emit = (entry: Entry): void => void entries.push(entry)
        for (const each of request) emitTimeSeries(table, each, MAX_SAMPLES, emit)
        last = encoder.encode(entries)
        bytes += last.byteLength
      }
      return { bytes, last }
    },
  )
}
