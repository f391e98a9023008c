/** What one request holds. */
export interface Shape {
  readonly series: number
  readonly samples: number
  /** Beside the metric name. */
  readonly labels: number
  /** Of 100 series so many that were never sent before. */
  readonly newPercent: number
  /** Whether the series come in another order each time. */
  readonly isShuffled: boolean
}

interface Point {
  readonly value: number
  readonly timestamp: number
}

/** As our API takes a series. */
export interface OwnSeries {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string>>
  readonly samples: readonly Point[]
}

/** As the encoder of protobufjs takes it: the metric name among the sorted labels. */
export interface PeerSeries {
  readonly labels: readonly { readonly name: string; readonly value: string }[]
  readonly samples: readonly Point[]
}

/** One sample with its series, as a row of a table or a message of a queue has it. */
export interface FlatRecord extends Point {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

/** Tells the series of one variant from those of the others, where all send to one server. */
export const RUN_LABEL = 'run'

const NAMES =
  'cluster container endpoint env host instance job mode namespace node pod rack region revision role service shard team version zone'.split(
    ' ',
  )
const METRICS = ['http_requests_total', 'node_cpu_seconds_total', 'process_resident_memory_bytes', 'up']
const START_MS = 1_700_000_000_000
/** Series of a steady sender, in requests: each comes again after so many. */
export const POPULATION_REQUESTS = 20

/**
 * Requests whose series come from a population of 20 requests, as a steady sender has it, but for the new ones.
 *
 * @param first - number of the first request: another one gives other new series and later timestamps.
 */
export function requests(shape: Shape, first: number, count: number): OwnSeries[][] {
  return Array.from({ length: count }, (_, offset) =>
    Array.from({ length: shape.series }, (_each, index) => seriesOf(shape, first + offset, index)),
  )
}

/** The same in the form of the encoder of protobufjs. */
export function peerRequests(own: readonly (readonly OwnSeries[])[]): { readonly timeseries: PeerSeries[] }[] {
  return own.map((request) => ({
    timeseries: request.map(({ metricName, labels, samples }) => ({
      labels: [
        { name: '__name__', value: metricName },
        ...Object.entries(labels).map(([name, value]) => ({ name, value })),
      ],
      samples,
    })),
  }))
}

/** The same as records that come by time: the samples of a series are not side by side. */
export function flatRequests(own: readonly (readonly OwnSeries[])[]): FlatRecord[][] {
  return own.map((request) =>
    Array.from({ length: request[0]?.samples.length ?? 0 }).flatMap((_, sample) =>
      request.map(({ metricName, labels, samples }) => ({
        name: metricName,
        labels,
        value: samples[sample]?.value ?? 0,
        timestamp: samples[sample]?.timestamp ?? 0,
      })),
    ),
  )
}

function seriesOf(shape: Shape, request: number, position: number): OwnSeries {
  const { series, samples, labels, newPercent, isShuffled } = shape
  const index = isShuffled ? (position * (7 + 2 * 5 * (request % 97)) + request * 31) % series : position
  const isNew = (index * newPercent) % 100 < newPercent && newPercent > 0
  const id = isNew ? 1_000_000 + request * series + index : (request % POPULATION_REQUESTS) * series + index
  return {
    metricName: METRICS[id % METRICS.length] ?? '',
    labels: Object.fromEntries(Array.from({ length: labels }, (_, label) => labelOf(id, label, labels))),
    samples: Array.from({ length: samples }, (_, sample) => ({
      // Never 0, which protobuf may leave out.
      value: (id * 31 + sample * 7 + request + 1) / 8,
      timestamp: START_MS + request * 15_000 + sample * 10,
    })),
  }
}

/** Names are spread over the alphabet, and come sorted; only one label tells series apart, the others repeat as they do. */
function labelOf(id: number, label: number, labels: number): [string, string] {
  const name = NAMES[Math.floor((label * NAMES.length) / labels)] ?? ''
  return label === Math.floor(labels / 2)
    ? [name, `10.${id >> 16}.${(id >> 8) & 255}.${id & 255}:9100`]
    : [name, `${name}-value-${id % (label + 3)}`]
}
