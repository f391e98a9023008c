import { EntryGroups, NONE } from './encode-groups.ts'
import { writeHistogram } from './encode-histogram.ts'
import { METRIC_TYPES } from './encode-metadata.ts'
import { RunsEncoder } from './encode-runs.ts'
import { sampleBytes, writeSample } from './encode-samples.ts'
import type { RemoteWriteEncoder } from './encode.ts'
import type { MetricMetadata, Sample } from './model.ts'
import type { Entry, Series } from './series.ts'
import { labelList } from './time-series.ts'
import { VARINT_BYTES, WireBuffer, writeUint32 } from './wire-buffer.ts'

/** `prometheus.WriteRequest`. */
export class WriteRequestEncoder implements RemoteWriteEncoder {
  readonly protocol = '1.0'
  kept: Entry | undefined
  readonly #runs: RunsEncoder
  readonly #groups: EntryGroups
  readonly #out = new WireBuffer(64 * 1024)
  readonly #message = new WireBuffer()
  readonly #inner = new WireBuffer()
  readonly #label = new WireBuffer()

  constructor(sorts: boolean) {
    this.#runs = new RunsEncoder(sorts)
    this.#groups = new EntryGroups(sorts, false)
  }

  encode(entries: readonly Entry[]): Buffer {
    const out = this.#out
    const groups = this.#groups
    out.reset()
    this.kept = entries[0] ?? this.kept
    if (this.#runs.encode(out, entries)) return out.written()
    out.reset()
    groups.collect(entries)
    const { count } = groups
    for (let group = 0; group < count; group++) {
      if (groups.isSpecial[group] === 1) this.#special(group, entries)
      else this.#plain(group, entries)
    }
    return out.written()
  }

  /** A request that holds nothing but what metrics are: by metric name. */
  encodeMetadata(metrics: ReadonlyMap<string, MetricMetadata>): Buffer {
    const out = this.#out
    out.reset()
    for (const [name, { type = 'unknown', help = '', unit = '' }] of metrics) {
      const message = this.#message
      message.reset()
      message.uint32(0x08)
      message.uint32(METRIC_TYPES[type])
      message.stringField(0x12, name)
      message.stringField(0x22, help)
      message.stringField(0x2a, unit)
      out.messageField(0x1a, message)
    }
    return out.written()
  }

  /** Samples in order, which is nearly always. */
  #plain(group: number, entries: readonly Entry[]): void {
    const out = this.#out
    const groups = this.#groups
    const { block } = groups.series[group] as Series
    const length = block.length + (groups.bytes[group] as number)
    out.ensure(1 + VARINT_BYTES + length)
    const { bytes } = out
    bytes[out.at] = 0x0a
    let at = writeUint32(bytes, out.at + 1, length)
    bytes.set(block, at)
    at += block.length
    const { next } = groups
    for (let index = groups.heads[group] as number; index !== NONE; index = next[index] as number) {
      const entry = entries[index] as Entry
      if (entry.parts === undefined) at = writeSample(out, at, entry, 0)
      else at = writeSamples(out, at, entry.parts.samples)
    }
    out.at = at
  }

  #special(group: number, entries: readonly Entry[]): void {
    const { block } = this.#groups.series[group] as Series
    const { samples, histograms, exemplars } = this.#groups.collected(group, entries)
    const message = this.#message
    message.reset()
    message.raw(block)
    let room = 0
    for (const { timestamp } of samples) room += sampleBytes(timestamp, 0)
    message.ensure(room)
    message.at = writeSamples(message, message.at, samples)
    for (const { labels, value, timestamp } of exemplars) {
      const inner = this.#inner
      inner.reset()
      for (const label of labelList(labels)) {
        this.#label.reset()
        this.#label.stringField(0x0a, label.name)
        this.#label.stringField(0x12, label.value)
        inner.messageField(0x0a, this.#label)
      }
      inner.uint32(0x11)
      inner.double(value)
      inner.int64Field(0x18, timestamp)
      message.messageField(0x1a, inner)
    }
    for (const histogram of histograms) {
      this.#inner.reset()
      writeHistogram(this.#inner, histogram, false)
      message.messageField(0x22, this.#inner)
    }
    this.#out.messageField(0x0a, message)
  }
}

function writeSamples(out: WireBuffer, at: number, samples: readonly Sample[]): number {
  for (let index = 0; index < samples.length; index++) at = writeSample(out, at, samples[index] as Sample, 0)
  return at
}
