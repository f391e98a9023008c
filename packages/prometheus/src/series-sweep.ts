import { labelMemory } from './label-memory.ts'
import type { Labels } from './model.ts'
import { finished, mixed, NOT_LABELS, startUnits, unitsOf } from './series-hash.ts'
import type { SeriesLayout } from './series-layout.ts'
import { isLabelList } from './time-series.ts'

/** Room for the labels of one series; those with more are looked at in the other way. */
const ROOM_BYTES = 4096
const MAX_SHORT = 0x7f

/**
 * Does in one pass over the characters of a series what is otherwise done in three: its hash, whether its values are what they should
 * be, and its labels as bytes. It takes the usual: an object with the names of the series before, sorted, and ASCII.
 */
export class LabelSweep {
  /** Where the bytes end that it wrote, from `labelMemory.at` on. */
  end = 0
  readonly #values: string[] = []

  /** @returns the hash that `hashLabels` gives, or {@link NOT_LABELS} where it is not the usual. */
  run(layout: SeriesLayout, metricName: string, labels: Labels | undefined, seed: number): number {
    const { names, nameFields } = layout
    if (!layout.isPlain || typeof labels !== 'object' || labels === null || isLabelList(labels)) return NOT_LABELS
    if (typeof metricName !== 'string') return NOT_LABELS
    const values = this.#values
    labelMemory.ensure(ROOM_BYTES)
    const { bytes } = labelMemory
    let { at } = labelMemory
    const limit = at + ROOM_BYTES - MAX_SHORT - 2
    startUnits()
    let hash = seed
    let index = 0
    let field = nameFields[0] as Buffer
    if (field.length + 2 + metricName.length > MAX_SHORT) return NOT_LABELS
    at = beginLabel(bytes, at, field, metricName.length)
    hash = mixed(hash, metricName, bytes, at)
    at += metricName.length
    for (const name in labels) {
      if (name !== names[index]) return NOT_LABELS
      const value = labels[name]
      if (typeof value !== 'string') return NOT_LABELS
      const { length } = value
      values[index++] = value
      field = nameFields[index] as Buffer
      if (length === 0 || field.length + 2 + length > MAX_SHORT || at > limit) return NOT_LABELS
      at = beginLabel(bytes, at, field, length)
      hash = mixed(hash, value, bytes, at)
      at += length
    }
    if (index !== names.length || unitsOf() > 0x7f) return NOT_LABELS
    this.end = at
    return finished(hash)
  }

  /** The values that it saw last. */
  values(layout: SeriesLayout): string[] {
    return this.#values.slice(0, layout.names.length)
  }
}

/** A label as far as its value, whose bytes are as many as its characters. */
function beginLabel(bytes: Buffer, at: number, nameField: Buffer, length: number): number {
  const nameLength = nameField.length
  bytes[at] = 0x0a
  bytes[at + 1] = nameLength + 2 + length
  const start = at + 2
  for (let index = 0; index < nameLength; index++) bytes[start + index] = nameField[index] as number
  bytes[start + nameLength] = 0x12
  bytes[start + nameLength + 1] = length
  return start + nameLength + 2
}
