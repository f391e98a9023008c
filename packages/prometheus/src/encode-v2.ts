import { type Collected, EntryGroups, NONE } from './encode-groups.ts'
import { writeHistogram } from './encode-histogram.ts'
import { METRIC_TYPES } from './encode-metadata.ts'
import { sampleBytes, writeSample } from './encode-samples.ts'
import { SymbolTable } from './encode-symbols.ts'
import type { RemoteWriteEncoder } from './encode.ts'
import type { MetricMetadata, Sample } from './model.ts'
import type { Entry, Series } from './series.ts'
import { labelList } from './time-series.ts'
import { uint32Bytes, VARINT_BYTES, WireBuffer, writeUint32 } from './wire-buffer.ts'

const TIMESERIES = 0x2a

/** `io.prometheus.write.v2.Request`, as of 2.0-rc.4. */
export class RequestV2Encoder implements RemoteWriteEncoder {
  readonly protocol = '2.0'
  kept: Entry | undefined
  readonly #groups: EntryGroups
  readonly #symbols = new SymbolTable()
  readonly #series = new WireBuffer(64 * 1024)
  readonly #out = new WireBuffer(64 * 1024)
  readonly #message = new WireBuffer()
  readonly #metadata = new WireBuffer()
  readonly #inner = new WireBuffer()
  readonly #scratch = new WireBuffer()
  /** References of the series under way. */
  #refs = new Uint32Array(64)

  constructor(sorts: boolean) {
    this.#groups = new EntryGroups(sorts, true)
  }

  encode(entries: readonly Entry[]): Buffer {
    const groups = this.#groups
    const symbols = this.#symbols
    const series = this.#series
    series.reset()
    symbols.begin()
    groups.collect(entries)
    this.kept = entries[0] ?? this.kept
    const { count } = groups
    for (let group = 0; group < count; group++) {
      if (groups.isSpecial[group] === 1) this.#special(group, entries)
      else this.#plain(group, entries)
    }
    const out = this.#out
    out.reset()
    out.ensure(symbols.out.at + series.at)
    out.raw(symbols.out.written())
    out.raw(series.written())
    return out.written()
  }

  #plain(group: number, entries: readonly Entry[]): void {
    const out = this.#series
    const groups = this.#groups
    const series = groups.series[group] as Series
    const labels = this.#symbols.symbolsOf(series)
    const { length } = labels
    if (this.#refs.length < length) this.#refs = new Uint32Array(length * 2)
    const refs = this.#refs
    let refBytes = 0
    for (let index = 0; index < length; index++) {
      const ref = this.#symbols.ref(labels[index] as (typeof labels)[number])
      refs[index] = ref
      refBytes += uint32Bytes(ref)
    }
    const metadata = this.#encodeMetadata(series.metadata)
    const total = 1 + uint32Bytes(refBytes) + refBytes + (groups.bytes[group] as number) + metadata.at
    out.ensure(1 + VARINT_BYTES + total)
    const { bytes } = out
    bytes[out.at] = TIMESERIES
    let at = writeUint32(bytes, out.at + 1, total)
    bytes[at] = 0x0a
    at = writeUint32(bytes, at + 1, refBytes)
    for (let index = 0; index < length; index++) at = writeUint32(bytes, at, refs[index] as number)
    const { next } = groups
    for (let index = groups.heads[group] as number; index !== NONE; index = next[index] as number) {
      const entry = entries[index] as Entry
      if (entry.parts === undefined) at = writeSample(out, at, entry, entry.startTimestamp)
      else at = writeSamples(out, at, entry.parts.samples)
    }
    out.at = at
    if (metadata.at > 0) out.raw(metadata.written())
  }

  #special(group: number, entries: readonly Entry[]): void {
    const series = this.#groups.series[group] as Series
    const { samples, histograms, exemplars } = this.#groups.collected(group, entries)
    // A time series holds samples or histograms, never both.
    if (samples.length > 0) this.#timeSeries(series, { samples, histograms: [], exemplars })
    if (histograms.length > 0) {
      this.#timeSeries(series, { samples: [], histograms, exemplars: samples.length > 0 ? [] : exemplars })
    }
  }

  #timeSeries(series: Series, { samples, histograms, exemplars }: Collected): void {
    const message = this.#message
    message.reset()
    this.#symbols.labels(message, series.labels, this.#scratch)
    let room = 0
    for (const { timestamp, startTimestamp = 0 } of samples) room += sampleBytes(timestamp, startTimestamp)
    message.ensure(room)
    message.at = writeSamples(message, message.at, samples)
    for (const histogram of histograms) {
      this.#inner.reset()
      writeHistogram(this.#inner, histogram, true)
      message.messageField(0x1a, this.#inner)
    }
    for (const { labels, value, timestamp } of exemplars) {
      const inner = this.#inner
      inner.reset()
      this.#symbols.labels(inner, labelList(labels), this.#scratch)
      inner.uint32(0x11)
      inner.double(value)
      inner.int64Field(0x18, timestamp)
      message.messageField(0x22, inner)
    }
    message.raw(this.#encodeMetadata(series.metadata).written())
    this.#series.messageField(TIMESERIES, message)
  }

  /** The field `metadata` of a series; empty where nothing is known. */
  #encodeMetadata(metadata: MetricMetadata | undefined): WireBuffer {
    const out = this.#metadata
    out.reset()
    if (metadata === undefined) return out
    const { type = 'unknown', help = '', unit = '' } = metadata
    const inner = this.#scratch
    inner.reset()
    inner.uint32(0x08)
    inner.uint32(METRIC_TYPES[type])
    inner.uint32(0x18)
    inner.uint32(this.#symbols.refOfText(help))
    inner.uint32(0x20)
    inner.uint32(this.#symbols.refOfText(unit))
    out.messageField(0x2a, inner)
    return out
  }
}

function writeSamples(out: WireBuffer, at: number, samples: readonly Sample[]): number {
  for (let index = 0; index < samples.length; index++) {
    const sample = samples[index] as Sample
    at = writeSample(out, at, sample, sample.startTimestamp ?? 0)
  }
  return at
}
