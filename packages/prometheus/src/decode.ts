import protobuf from 'protobufjs'
import type { Exemplar, Label, MetricMetadata, MetricType, NativeHistogram, Sample } from './model.ts'
import type { WireProtocol } from './options.ts'
import { METRIC_TYPES } from './encode-metadata.ts'
import {
  decodeHistogram,
  integer,
  isStaleMarker,
  safeInteger,
  type WireHistogram,
  type WireInteger,
} from './decode-values.ts'
import { checkWire } from './decode-wire.ts'
import { REQUEST_V2_PROTO, WRITE_REQUEST_PROTO } from './schema.ts'

/** One time series of a request, as it was sent. */
export interface DecodedTimeSeries {
  /** `__name__` among them. */
  readonly labels: readonly Label[]
  /** A stale marker has `stale: true`. */
  readonly samples: readonly Sample[]
  readonly histograms: readonly NativeHistogram[]
  readonly exemplars: readonly Exemplar[]
  /** Of remote write 2.0. */
  readonly metadata?: MetricMetadata
}

/** What a request says. */
export interface DecodedRequest {
  readonly timeSeries: readonly DecodedTimeSeries[]
  /** Of remote write 1.0, by metric name. */
  readonly metadata: ReadonlyMap<string, MetricMetadata>
}

interface WireSample {
  readonly value: number
  readonly timestamp: WireInteger
  readonly startTimestamp?: WireInteger
}

interface WireSeries {
  readonly labels?: readonly Label[]
  readonly labelsRefs?: readonly number[]
  readonly samples: readonly WireSample[]
  readonly histograms: readonly WireHistogram[]
  readonly exemplars: readonly (WireSample & Pick<WireSeries, 'labels' | 'labelsRefs'>)[]
  readonly metadata?: { readonly type: number; readonly helpRef: number; readonly unitRef: number } | null
}

interface WireRequest {
  readonly symbols?: readonly string[]
  readonly timeseries: readonly WireSeries[]
  readonly metadata?: readonly {
    readonly type: number
    readonly metricFamilyName: string
    readonly help: string
    readonly unit: string
  }[]
}

const TYPES: Readonly<Record<WireProtocol, protobuf.Type>> = {
  '1.0': typeOf(WRITE_REQUEST_PROTO, 'prometheus.WriteRequest'),
  '2.0': typeOf(REQUEST_V2_PROTO, 'io.prometheus.write.v2.Request'),
}
const TYPE_NAMES = Object.keys(METRIC_TYPES) as MetricType[]

/**
 * Reads the body of a request of remote write, before compression: for tests of pipelines, and for receivers of one's own. What it
 * reads is what was sent: nothing is sorted, and the rules for labels and times are not looked at. What is no such message is refused: cut
 * off, with lengths beyond its end, with fields of another type, or with references to symbols that it does not have. Fields that are not
 * known are passed over, as protobuf wants. It takes memory in proportion to the body, whose size is the caller's to limit.
 *
 * See https://prometheus.io/docs/specs/prw/remote_write_spec/ and https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
 *
 * @throws RangeError that says what is wrong, in which field and at which byte, and for a timestamp beyond 2^53.
 * @example
 * ```ts
 * const { timeSeries } = decodeRemoteWrite(body, '1.0')
 * expect(timeSeries[0]?.samples).toEqual([{ value: 1, timestamp: 1_700_000_000_000 }])
 * ```
 */
export function decodeRemoteWrite(body: Uint8Array, protocol: WireProtocol): DecodedRequest {
  const wire = TYPES[protocol]
  checkWire(body, wire)
  const request = wire.decode(body) as unknown as WireRequest
  const symbols = request.symbols ?? []
  const [first] = symbols
  if (first !== undefined && first !== '') throw new RangeError("the first symbol must be ''")
  const text = (ref: number): string => {
    const symbol = symbols[ref]
    if (symbol === undefined) throw new RangeError(`symbol ${ref} is referred to, and there are ${symbols.length}`)
    return symbol
  }
  const labelsOf = ({ labels, labelsRefs = [] }: Pick<WireSeries, 'labels' | 'labelsRefs'>): Label[] => {
    if (labels !== undefined && protocol === '1.0') return labels.map(({ name, value }) => ({ name, value }))
    if (labelsRefs.length % 2 !== 0)
      throw new RangeError(`references of labels come in pairs, got ${labelsRefs.length}`)
    return Array.from({ length: labelsRefs.length / 2 }, (_, index) => ({
      name: text(labelsRefs[2 * index] as number),
      value: text(labelsRefs[2 * index + 1] as number),
    }))
  }
  const metadataOf = (metadata: WireSeries['metadata']): Pick<DecodedTimeSeries, 'metadata'> => {
    if (metadata === undefined || metadata === null) return {}
    const { type, helpRef, unitRef } = metadata
    return { metadata: { type: typeName(type), help: text(helpRef), unit: text(unitRef) } }
  }
  return {
    timeSeries: request.timeseries.map((series) => ({
      labels: labelsOf(series),
      samples: series.samples.map(decodeSample),
      histograms: series.histograms.map(decodeHistogram),
      exemplars: series.exemplars.map((exemplar) => ({
        labels: labelsOf(exemplar),
        value: exemplar.value,
        timestamp: safeInteger(exemplar.timestamp),
      })),
      ...metadataOf(series.metadata),
    })),
    metadata: new Map(
      (request.metadata ?? []).map(({ type, metricFamilyName, help, unit }) => [
        metricFamilyName,
        { type: typeName(type), help, unit },
      ]),
    ),
  }
}

function typeOf(proto: string, name: string): protobuf.Type {
  const { root } = protobuf.parse(proto)
  // Fields know the messages that they hold from here on.
  root.resolveAll()
  return root.lookupType(name)
}

function decodeSample({ value, timestamp, startTimestamp = 0 }: WireSample): Sample {
  return {
    value,
    timestamp: safeInteger(timestamp),
    ...(integer(startTimestamp) === 0 ? {} : { startTimestamp: safeInteger(startTimestamp) }),
    ...(isStaleMarker(value) ? { stale: true } : {}),
  }
}

function typeName(type: number): MetricType {
  return TYPE_NAMES[type] ?? 'unknown'
}
