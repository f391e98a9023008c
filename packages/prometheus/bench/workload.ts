/** What one request holds. */
export interface Shape {
  readonly series: number
  readonly samples: number
  /** Beside the metric name. */
  readonly labels: number
  /** Of 100 series so many that were never sent before. */
  readonly newPercent: number
  /** Whether the series come in another order each time. */
  readonly isShuffled?: boolean
}

/** As our API takes it. */
export interface OwnSeries {
  readonly metricName: string
  readonly labels: Record<string, string>
  readonly samples: readonly { readonly value: number; readonly timestamp: number }[]
}

/** As the encoder of protobufjs takes it: the metric name among the sorted labels. */
export interface PeerSeries {
  readonly labels: readonly { readonly name: string; readonly value: string }[]
  readonly samples: readonly { readonly value: number; readonly timestamp: number }[]
}

const NAMES =
  'cluster container endpoint env host instance job mode namespace node pod rack region revision role service shard team version zone'.split(
    ' ',
  )
const METRICS = ['http_requests_total', 'node_cpu_seconds_total', 'process_resident_memory_bytes', 'up']
const START_MS = 1_700_000_000_000

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

function seriesOf(shape: Shape, request: number, position: number): OwnSeries {
  const { series, samples, labels, newPercent, isShuffled = false } = shape
  const index = isShuffled ? (position * (7 + 2 * 5 * (request % 97)) + request * 31) % series : position
  const isNew = (index * newPercent) % 100 < newPercent && newPercent > 0
  const id = isNew ? 1_000_000 + request * series + index : (request % 20) * series + index
  return {
    metricName: METRICS[id % METRICS.length] ?? '',
    labels: Object.fromEntries(Array.from({ length: labels }, (_, label) => labelOf(id, label, labels))),
    samples: Array.from({ length: samples }, (_, sample) => ({
      value: (id * 31 + sample * 7 + request) / 8,
      timestamp: START_MS + request * 15_000 + sample * 10,
    })),
  }
}

/** The same in the form of the peer. */
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

/** Names are spread over the alphabet, and come sorted; only one label tells series apart, the others repeat as they do. */
function labelOf(id: number, label: number, labels: number): [string, string] {
  const name = NAMES[Math.floor((label * NAMES.length) / labels)] ?? ''
  return label === Math.floor(labels / 2)
    ? [name, `10.${id >> 16}.${(id >> 8) & 255}.${id & 255}:9100`]
    : [name, `${name}-value-${id % (label + 3)}`]
}
