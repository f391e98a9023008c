import protobuf from 'protobufjs'
import snappy from 'snappyjs'

/** A series as it arrived. */
export interface SentSeries {
  readonly labels: Readonly<Record<string, string>>
  readonly samples: readonly { readonly value: number; readonly timestamp: number }[]
}

const ROOT = protobuf.parse(`
  syntax = "proto3";
  message Label { string name = 1; string value = 2; }
  message Sample { double value = 1; int64 timestamp = 2; }
  message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
  message WriteRequest { repeated TimeSeries timeseries = 1; }
  message TimeSeries2 { repeated uint32 labels_refs = 1; repeated Sample samples = 2; }
  message Request { repeated string symbols = 4; repeated TimeSeries2 timeseries = 5; }
`).root

interface DecodedSeries {
  readonly labels?: readonly { readonly name: string; readonly value: string }[]
  readonly labelsRefs?: readonly number[]
  readonly samples: readonly { readonly value: number; readonly timestamp: number }[]
}

/** The series of a body, of 2.0 where the headers say so. Independent of the encoder. */
export function decode(body: Uint8Array, contentType: string | undefined): readonly SentSeries[] {
  const bytes = snappy.uncompress(body)
  const isV2 = contentType === 'application/x-protobuf;proto=io.prometheus.write.v2.Request'
  const type = ROOT.lookupType(isV2 ? 'Request' : 'WriteRequest')
  const message = type.toObject(type.decode(bytes), { longs: Number, defaults: true, arrays: true })
  const symbols: readonly string[] = message['symbols'] ?? []
  const all: readonly DecodedSeries[] = message['timeseries'] ?? []
  return all.map(({ labels = [], labelsRefs = [], samples }) => ({
    labels: isV2
      ? Object.fromEntries(
          Array.from({ length: labelsRefs.length / 2 }, (_, index) => [
            symbols[labelsRefs[2 * index] ?? 0],
            symbols[labelsRefs[2 * index + 1] ?? 0],
          ]),
        )
      : Object.fromEntries(labels.map(({ name, value }) => [name, value])),
    samples: samples.map(({ value, timestamp }) => ({ value, timestamp })),
  }))
}

/** What a request holds, in one line for each sample: `name{host="a"} 1 @2`. */
export function lines(body: Uint8Array, contentType: string | undefined): readonly string[] {
  return decode(body, contentType).flatMap(({ labels, samples }) => {
    const { __name__: name, ...rest } = labels
    const inner = Object.entries(rest).map(([label, value]) => `${label}=${value}`)
    return samples.map(({ value, timestamp }) => `${name}{${inner.join(',')}} ${value} @${timestamp}`)
  })
}
