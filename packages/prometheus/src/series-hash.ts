import type { Labels } from './model.ts'
import { isLabelList } from './time-series.ts'

/** What a {@link LabelHash} says of labels that are none, or in which something is not a string. */
export const NOT_LABELS = -1

/**
 * Hashes a metric name and the values of labels in the order in which they come: an integer from 0 to 2^31 - 1, or {@link NOT_LABELS}.
 * Names need no place in it, since what has the same hash is compared as a whole; a bad hash costs time, and nothing else.
 */
export type LabelHash = (metricName: string, labels: Labels | undefined, seed: number) => number

/** Of what was hashed last, the bits of all UTF-16 units together. */
let units = 0

export function startUnits(): void {
  units = 0
}

/** The bits of all UTF-16 units that were hashed since {@link startUnits}: below 0x80 all are ASCII, below 0xd800 all well-formed. */
export function unitsOf(): number {
  return units
}

/** The characters themselves: a Map of strings would first have to hash them too, and pays a call for each string that is new to V8. */
export const hashLabels: LabelHash = (metricName, labels, seed) => {
  if (typeof metricName !== 'string') return NOT_LABELS
  startUnits()
  let hash = mixed(seed, metricName, NOWHERE, 0)
  if (labels !== undefined) {
    if (typeof labels !== 'object' || labels === null) return NOT_LABELS
    if (isLabelList(labels)) {
      for (let index = 0; index < labels.length; index++) {
        const label = labels[index]
        const value = label?.value
        if (typeof value !== 'string' || typeof label?.name !== 'string') return NOT_LABELS
        hash = mixed(hash, value, NOWHERE, 0)
      }
    } else {
      for (const name in labels) {
        const value = labels[name]
        if (typeof value !== 'string') return NOT_LABELS
        hash = mixed(hash, value, NOWHERE, 0)
      }
    }
  }
  return finished(hash)
}

/** Slots are taken from the low bits, which multiplication alone never reaches from above. */
export function finished(hash: number): number {
  const last = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (last ^ (last >>> 13)) & 0x7fff_ffff
}

const NOWHERE = Buffer.alloc(0)

/**
 * Two characters at a time. Notes them as bytes on the way: what lies beyond the end of a buffer is not written.
 */
export function mixed(hash: number, text: string, bytes: Buffer, at: number): number {
  const { length } = text
  let index = 1
  let bits = 0
  for (; index < length; index += 2) {
    const left = text.charCodeAt(index - 1)
    const right = text.charCodeAt(index)
    bits |= left | right
    bytes[at + index - 1] = left
    bytes[at + index] = right
    hash = Math.imul(hash ^ (left | (right << 16)), 0x9e3779b1)
    hash ^= hash >>> 15
  }
  if (index === length) {
    const last = text.charCodeAt(index - 1)
    bits |= last
    bytes[at + index - 1] = last
    hash = Math.imul(hash ^ last, 0x9e3779b1)
  }
  units |= bits
  return hash ^ length ^ (hash >>> 15)
}
