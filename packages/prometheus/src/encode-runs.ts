import { GroupsByLabels } from './encode-groups.ts'
import { isUsual, USUAL_BYTES, writeUsual } from './encode-samples.ts'
import type { Sample } from './model.ts'
import type { Entry, Series } from './series.ts'
import { uint32Bytes, VARINT_BYTES, type WireBuffer, writeUint32 } from './wire-buffer.ts'

/** After a request that it could not write, so many go the other way before it tries again. */
const PAUSE_REQUESTS = 16
/** Bytes that a processor fetches at once. */
const LINE_BYTES = 64

/**
 * Writes requests of remote write 1.0 in one pass over their entries: those in which nothing of a series follows once another one has
 * begun, and which hold nothing but samples in order. That is what handles and whole series make; whatever else there is, it leaves.
 */
export class RunsEncoder {
  /** Of the request under way the series, each at its `group`. */
  readonly #owners: Series[] = []
  readonly #groupOf = new GroupsByLabels()
  readonly #sorts: boolean
  #pause = 0
  /** Where {@link RunsEncoder.#fetch} leaves what it read: a loop without an effect would be taken out by the compiler. */
  fetched = 0

  /** @param sorts - whether samples have to be in order. */
  constructor(sorts: boolean) {
    this.#sorts = sorts
  }

  /** @returns false for a request that it does not write: nothing in `out` counts then. */
  encode(out: WireBuffer, entries: readonly Entry[]): boolean {
    if (this.#pause > 0) {
      this.#pause--
      return false
    }
    if (this.#write(out, entries)) return true
    this.#pause = PAUSE_REQUESTS
    return false
  }

  #write(out: WireBuffer, entries: readonly Entry[]): boolean {
    const owners = this.#owners
    const { length } = entries
    let count = 0
    let isMixed = false
    this.#fetch(entries)
    for (let index = 0; index < length;) {
      const { series } = entries[index] as Entry
      if (series.isEvicted && !isMixed) {
        isMixed = true
        this.#mix(count, length)
      }
      const { group } = series
      if (isMixed ? this.#groupOf.find(series, owners, count) < count : group < count && owners[group] === series) {
        return false
      }
      owners[count] = series
      series.group = count++
      index = this.#series(out, series, entries, index)
      if (index === NOT_WRITTEN) return false
    }
    return true
  }

  /**
   * Looks at what is needed of each series, and does nothing with it. Series are many and spread over memory: in a loop that does
   * nothing else the processor fetches several at a time, and not one after the other.
   */
  #fetch(entries: readonly Entry[]): void {
    let last: Series | undefined
    let bits = 0
    for (let index = 0; index < entries.length; index++) {
      const { series } = entries[index] as Entry
      if (series === last) continue
      last = series
      const { block } = series
      for (let at = 0; at < block.length; at += LINE_BYTES) bits |= block[at] as number
    }
    this.fetched = bits
  }

  /** From here on two objects may stand for one series. */
  #mix(count: number, length: number): void {
    const owners = this.#owners
    this.#groupOf.begin(length)
    for (let group = 0; group < count; group++) this.#groupOf.find(owners[group] as Series, owners, group)
  }

  /** One series with the entries that it has from `from` on. @returns where they end, or {@link NOT_WRITTEN}. */
  #series(out: WireBuffer, series: Series, entries: readonly Entry[], from: number): number {
    const { block } = series
    const { length } = entries
    const blockBytes = block.length
    // Whatever follows has room, unless an entry holds several samples.
    out.ensure(1 + VARINT_BYTES + blockBytes + (length - from) * USUAL_BYTES)
    const lengthAt = out.at + 1
    const lengthBytes = uint32Bytes(blockBytes + USUAL_BYTES)
    const start = lengthAt + lengthBytes
    out.bytes[out.at] = 0x0a
    out.bytes.set(block, start)
    let at = start + blockBytes
    let { view } = out
    const sorts = this.#sorts
    let time = Number.NEGATIVE_INFINITY
    let index = from
    for (; index < length; index++) {
      const entry = entries[index] as Entry
      if (entry.series !== series) break
      const { parts } = entry
      if (parts === undefined) {
        const { timestamp } = entry
        if (!isUsual(timestamp) || (sorts && timestamp < time)) return NOT_WRITTEN
        time = timestamp
        at = writeUsual(view, at, entry, timestamp)
        continue
      }
      const { samples } = parts
      if (parts.histograms.length > 0 || parts.exemplars.length > 0) return NOT_WRITTEN
      out.at = at
      out.ensure((samples.length + length - index) * USUAL_BYTES)
      view = out.view
      for (let sample = 0; sample < samples.length; sample++) {
        const each = samples[sample] as Sample
        const { timestamp } = each
        if (!isUsual(timestamp) || (sorts && timestamp < time)) return NOT_WRITTEN
        time = timestamp
        at = writeUsual(view, at, each, timestamp)
      }
    }
    const total = at - start
    const more = uint32Bytes(total) - lengthBytes
    if (more !== 0) {
      out.at = at
      out.ensure(VARINT_BYTES)
      out.bytes.copyWithin(start + more, start, at)
      at += more
    }
    writeUint32(out.bytes, lengthAt, total)
    out.at = at
    return index
  }
}

const NOT_WRITTEN = -1
