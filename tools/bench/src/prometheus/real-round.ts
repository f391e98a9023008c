import { RemoteWriteClient } from '@sluice/prometheus'
import { type MinimalFetch, pushTimeseries, type Timeseries } from 'prometheus-remote-write'
import snappyjs from 'snappyjs'
import { Pool } from 'undici'
import { grouped, ungrouped } from './flat-round.ts'
import type { RunRound } from './tasks.ts'
import { type FlatRecord, flatRequests, POPULATION_REQUESTS, requests, RUN_LABEL, type Shape } from './workload.ts'
import { prometheus } from './write-request.js'

export const RAW = 'raw POST of ready bytes'
export const OURS = 'client'
export const REAL_PEERS = ['prometheus-remote-write with fetch', 'prometheus-remote-write with node-fetch'] as const
export const REAL_VARIANTS: readonly string[] = [OURS, ...REAL_PEERS, RAW]

/** So often the whole population is sent before the first round: until then code is compiled. */
const WARM_UP_TIMES = 40
const WARM_UP_TIMES_TOGETHER = 10
/** In each round before the clock starts: what a collection throws away of compiled code is compiled again. */
const TIMES_BEFORE = 2
const TIMES = 10
const ROUND_TIMES = TIMES_BEFORE + TIMES
/** Requests' worth of records under the clock. */
export const REAL_REQUESTS: number = TIMES * POPULATION_REQUESTS
/** Of the default of our client. */
const IN_FLIGHT = 4
const START_MS = 1_700_000_000_000
const POPULATION_MS = 400
const REQUEST_MS = 20
/** Data time of a round; that of the warm-up comes before. */
export const ROUND_MS = 5_000
const FIRST_ROUND_MS = START_MS + WARM_UP_TIMES * POPULATION_MS

export interface RealTask {
  readonly part: 'real'
  readonly variant: string
  readonly shape: Shape
  readonly url: string
}

/** The end of a round's data, in milliseconds since 1970. */
export function endOf(round: number): number {
  return startOf(round + 1) - 1
}

/** The time of the data goes on from round to round. */
function startOf(round: number): number {
  return FIRST_ROUND_MS + round * ROUND_MS
}

type Batches = readonly (readonly FlatRecord[])[]

/** Sends flat records until all have their answer, the rounds of one variant. `output` is the number of samples. */
export async function realRounds({ variant, shape, url }: RealTask): Promise<RunRound> {
  const text = JSON.stringify(populationOf(shape, variant))
  const sender = senderOf(variant, url)
  for (let time = 0; time < WARM_UP_TIMES; time += WARM_UP_TIMES_TOGETHER) {
    await sender(decoded(text, START_MS + time * POPULATION_MS, WARM_UP_TIMES_TOGETHER))()
  }
  return async (round) => {
    const batches = decoded(text, startOf(round), ROUND_TIMES)
    const before = sender(batches.slice(0, TIMES_BEFORE * POPULATION_REQUESTS))
    const counted = batches.slice(TIMES_BEFORE * POPULATION_REQUESTS)
    const send = sender(counted)
    globalThis.gc?.()
    await before()
    const wallStart = performance.now()
    const cpuStart = process.cpuUsage()
    await send()
    const { user, system } = process.cpuUsage(cpuStart)
    const samples = counted.reduce((sum, { length }) => sum + length, 0)
    return {
      cpuSeconds: (user + system) / 1e6,
      wallSeconds: (performance.now() - wallStart) / 1000,
      output: `${samples} samples`,
    }
  }
}

/** The whole population again, so many times, each at a later time: new objects. */
function decoded(text: string, from: number, times: number): Batches {
  return Array.from({ length: times }).flatMap((_, offset) => {
    const batches = JSON.parse(text) as (Omit<FlatRecord, 'timestamp'> & { timestamp: number })[][]
    const start = from + offset * POPULATION_MS
    for (const batch of batches) for (const record of batch) record.timestamp += start
    return batches
  })
}

/** Called outside the clock, where the bytes are made of the one that sends ready bytes; what it gives sends. */
type Sender = (batches: Batches) => () => Promise<void>

function senderOf(variant: string, url: string): Sender {
  if (variant === OURS) return ours(url)
  if (variant === RAW) return raw(url)
  // The fetch of Node keeps connections; so the library is at its best.
  return peer(url, variant === REAL_PEERS[0] ? (globalThis.fetch as unknown as MinimalFetch) : undefined)
}

function ours(url: string): Sender {
  const client = new RemoteWriteClient({ prometheusRemoteWriteUrl: url })
  return (batches) => async () => {
    for (const batch of batches) {
      const full = client.write(batch)
      if (full !== undefined) await full
    }
    await client.flush()
  }
}

function peer(url: string, fetch: MinimalFetch | undefined): Sender {
  const options = { url, ...(fetch === undefined ? {} : { fetch }) }
  const one = async (timeseries: Timeseries[]): Promise<void> => {
    const { status, errorMessage } = await pushTimeseries(timeseries, options)
    if (status !== 204) throw new Error(`answered ${status}: ${errorMessage}`)
  }
  return (batches) => {
    // Where each record is a series of its own, there is nothing to be grouped.
    const isSingle = new Set(batches[0]?.map(({ labels }) => JSON.stringify(labels))).size === batches[0]?.length
    return () => atOnce(batches, (batch) => one(isSingle ? ungrouped(batch) : grouped(batch)))
  }
}

function raw(url: string): Sender {
  const { origin, pathname } = new URL(url)
  const pool = new Pool(origin, { connections: IN_FLIGHT })
  const headers = {
    'content-encoding': 'snappy',
    'content-type': 'application/x-protobuf',
    'x-prometheus-remote-write-version': '0.1.0',
  }
  return (batches) => {
    const bodies = batches.map((batch) =>
      snappyjs.compress(
        prometheus.WriteRequest.encode({
          timeseries: grouped(batch).map(({ labels, samples }) => ({
            labels: Object.entries(labels).map(([name, value]) => ({ name, value })),
            samples: samples.map(({ value, timestamp = 0 }) => ({ value, timestamp })),
          })),
        }).finish(),
      ),
    )
    return () =>
      atOnce(bodies, async (body) => {
        const answer = await pool.request({ path: pathname, method: 'POST', headers, body })
        await answer.body.dump()
        if (answer.statusCode !== 204) throw new Error(`answered ${answer.statusCode}`)
      })
  }
}

/** So many at a time as our client has under way; but what comes again waits until all before it has its answer, which keeps its order. */
async function atOnce<T>(list: readonly T[], send: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (to: number): Promise<void> => {
    while (next < to) await send(list[next++] as T)
  }
  for (let to = POPULATION_REQUESTS; to <= list.length; to += POPULATION_REQUESTS) {
    await Promise.all(Array.from({ length: IN_FLIGHT }, async () => await worker(to)))
  }
}

/** Each variant has series of its own. Their times count from the beginning of the population. */
function populationOf(shape: Shape, variant: string): Batches {
  return flatRequests(requests(shape, 0, POPULATION_REQUESTS)).map((batch, request) =>
    batch.map(({ name, labels, value }, index) => ({
      name,
      labels: Object.fromEntries(
        Object.entries({ ...labels, [RUN_LABEL]: variant }).toSorted(([a], [b]) => (a < b ? -1 : 1)),
      ),
      value,
      timestamp: request * REQUEST_MS + Math.floor(index / shape.series),
    })),
  )
}
