import { orderKeyOf } from '@sluice/core'
import type { WireSymbol } from './encode-symbols.ts'
import { keptLabelMemory, labelMemory } from './label-memory.ts'
import type { Exemplar, Label, MetricMetadata, NativeHistogram, Sample } from './model.ts'
import type { WireProtocol } from './options.ts'
import { isLegacyMetricName, METRIC_NAME, type SeriesLayout } from './series-layout.ts'
import { uint32Bytes, writeString, writeUint32 } from './wire-buffer.ts'
import { maxUtf8Bytes } from './utf8.ts'

/**
 * A series that was looked up and validated: its labels as they are sent, and, once it was sent, their bytes.
 *
 * Made by a {@link SeriesTable}. The same labels give the same object for as long as the table keeps it.
 */
export class Series {
  /** The table does not have it, or not any more, and may have another one for the same labels. @internal */
  isEvicted: boolean
  /** Where an encoder has its group; means nothing unless that group is the series' own. @internal */
  group = 0
  // Looked at for each sample: together in memory, and small integers, which are no objects of their own.
  #laneKey = UNKNOWN
  #blockBytes = UNKNOWN
  #block: Buffer | undefined
  readonly metricName: string
  /** What the series' metric is, as it was said last. */
  metadata: MetricMetadata | undefined = undefined
  /** Values in the order of `layout.names`. @internal */
  readonly values: readonly string[]
  /** As a way of giving it: this one. @internal */
  readonly series: Series
  /** @internal */
  readonly names: readonly string[]
  /** @internal */
  readonly layout: SeriesLayout
  /** Equal for equal labels of one table. @internal */
  readonly hash: number
  /** What was looked up after it, the last time. @internal */
  next: Series | undefined = undefined
  /** @internal */
  symbols: WireSymbol[] | undefined = undefined
  /** Which symbols those are: see the encoder of 2.0. @internal */
  symbolsOf: object | undefined = undefined
  #orderKey: number | undefined

  /** @param block - where it is known already. @internal */
  constructor(
    layout: SeriesLayout,
    metricName: string,
    values: readonly string[],
    hash: number,
    isEvicted: boolean,
    block?: Buffer,
  ) {
    this.layout = layout
    this.metricName = metricName
    this.values = values
    this.names = layout.names
    this.series = this
    this.hash = hash
    this.isEvicted = isEvicted
    this.#block = block
    if (block !== undefined) this.#blockBytes = block.length
  }

  /** The labels as they are sent, `__name__` among them. */
  get labels(): readonly Label[] {
    return Array.from(this.layout.order, (position) => ({
      name: this.layout.nameAt(position),
      value: this.valueAt(position),
    }))
  }

  /** @internal */
  get spelledName(): string | undefined {
    return this.layout.hasName ? this.metricName : undefined
  }

  /** The labels under which the table has it. @internal */
  get spelled(): readonly Label[] {
    return this.values.map((value, position) => ({ name: this.layout.nameAt(position), value }))
  }

  /** Whether it has the same labels as another one of its table. @internal */
  equals(other: Series): boolean {
    const { names, values, metricName, hash } = this
    if (hash !== other.hash || metricName !== other.metricName || names.length !== other.names.length) return false
    for (let index = 0; index < names.length; index++) {
      if (values[index] !== other.values[index] || names[index] !== other.names[index]) return false
    }
    return this.layout.hasName === other.layout.hasName
  }

  /** The same for the same labels in every process, whatever their order: an integer from 0 to 2^53 - 1, evenly spread. */
  get orderKey(): number {
    this.#orderKey ??= orderKeyOf(this.canonicalId)
    return this.#orderKey
  }

  /** Part of {@link Series.orderKey}, for the engine: equal for equal labels, but not for those only. @internal */
  get laneKey(): number {
    if (this.#laneKey === UNKNOWN) this.#laneKey = (this.orderKey >>> 0) & MAX_LANE_KEY
    return this.#laneKey
  }

  /** Whether a version of remote write allows its names. */
  fits(protocol: WireProtocol): boolean {
    return protocol === '2.0' || (this.layout.isLegacy && isLegacyMetricName(this.metricName))
  }

  /** The labels as `repeated Label labels = 1` of remote write 1.0. @internal */
  get block(): Buffer {
    this.#block ??= this.#encodeBlock()
    return this.#block
  }

  /** The length of {@link Series.block}. @internal */
  get blockBytes(): number {
    if (this.#blockBytes === UNKNOWN) this.#blockBytes = this.block.length
    return this.#blockBytes
  }

  /** Equal for equal labels only. @internal */
  get canonicalId(): string {
    let id = ''
    for (const position of this.layout.sorted) {
      // A label without a value is no label.
      const value = this.valueAt(position)
      if (value === '') continue
      const name = this.layout.nameAt(position)
      id += `${name.length}:${name}${value.length}:${value}`
    }
    return id
  }

  /** @internal */
  valueAt(position: number): string {
    return position === METRIC_NAME ? this.metricName : (this.values[position] as string)
  }

  #encodeBlock(): Buffer {
    const { order, nameFields } = this.layout
    let room = 0
    for (let index = 0; index < order.length; index++) {
      const value = this.valueAt(order[index] as number)
      room += (nameFields[index] as Buffer).length + maxUtf8Bytes(value.length) + LABEL_OVERHEAD
    }
    const memory = this.isEvicted ? labelMemory : keptLabelMemory
    memory.ensure(room)
    const { bytes } = memory
    let { at } = memory
    for (let index = 0; index < order.length; index++) {
      at = writeLabel(bytes, at, nameFields[index] as Buffer, this.valueAt(order[index] as number))
    }
    return memory.take(at)
  }
}

const UNKNOWN = -1
const MAX_LANE_KEY = 0x3fff_ffff

/** Tags and lengths of a label beside its bytes, at most. */
const LABEL_OVERHEAD = 16

function writeLabel(bytes: Buffer, at: number, nameField: Buffer, value: string): number {
  const nameLength = nameField.length
  bytes[at++] = 0x0a
  // A short label has a length of one byte whatever its characters are: it is put in its place afterwards.
  if (nameLength + 2 + maxUtf8Bytes(value.length) < 0x80) {
    const start = at + 1
    for (let index = 0; index < nameLength; index++) bytes[start + index] = nameField[index] as number
    bytes[start + nameLength] = 0x12
    const end = writeString(bytes, start + nameLength + 1, value)
    bytes[at] = end - start
    return end
  }
  const valueLength = Buffer.byteLength(value)
  at = writeUint32(bytes, at, nameLength + 1 + uint32Bytes(valueLength) + valueLength)
  bytes.set(nameField, at)
  bytes[at + nameLength] = 0x12
  return writeString(bytes, at + nameLength + 1, value)
}

/** What an entry has instead of a single sample. Sorted by time, and at least one of them not empty. */
export interface EntryParts {
  readonly samples: readonly Sample[]
  readonly histograms: readonly NativeHistogram[]
  readonly exemplars: readonly Exemplar[]
}

/** What the sink buffers, repeats and gives an outcome: one sample of a series, or several things of it. Already validated. */
export class Entry implements Sample {
  readonly series: Series
  readonly value: number
  readonly timestamp: number
  /** 0 where it is not known. */
  readonly startTimestamp: number
  readonly stale: boolean
  /** Undefined for a single sample, which is then in the entry itself. */
  readonly parts: EntryParts | undefined
  /** Whose it is: set before the entry is handed over. */
  tenant = ''

  constructor(
    series: Series,
    value: number,
    timestamp: number,
    startTimestamp: number,
    stale: boolean,
    parts: EntryParts | undefined,
  ) {
    this.series = series
    this.value = value
    this.timestamp = timestamp
    this.startTimestamp = startTimestamp
    this.stale = stale
    this.parts = parts
  }

  /** Samples and histograms in it. */
  get size(): number {
    const { parts } = this
    return parts === undefined ? 1 : parts.samples.length + parts.histograms.length
  }

  /** What it holds, for people and dead letters: nothing that changes, so that a letter has the same id after a restart. */
  toJSON(): object {
    const { series, value, timestamp, startTimestamp, stale, parts, tenant } = this
    const only = {
      value,
      timestamp,
      ...(startTimestamp === 0 ? {} : { startTimestamp }),
      ...(stale ? { stale } : {}),
    }
    return {
      ...(tenant === '' ? {} : { tenant }),
      labels: Object.fromEntries(series.labels.map((label) => [label.name, label.value])),
      samples: parts === undefined ? [only] : parts.samples,
      ...(parts === undefined || parts.histograms.length === 0
        ? {}
        : { histograms: parts.histograms.map(withoutBigints) }),
      ...(parts === undefined || parts.exemplars.length === 0 ? {} : { exemplars: parts.exemplars }),
    }
  }
}

/** JSON has no bigints: they are texts there. */
function withoutBigints(histogram: NativeHistogram): object {
  return Object.fromEntries(Object.entries(histogram).map(([name, value]) => [name, listed(value)]))
}

function listed(value: unknown): unknown {
  return Array.isArray(value) ? value.map(plain) : plain(value)
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
