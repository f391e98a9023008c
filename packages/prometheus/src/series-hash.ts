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

/** Whether what {@link hashLabels} hashed last has no surrogates: then it is well-formed Unicode. */
export function hasNoSurrogates(): boolean {
  return units < 0xd800
}

/** The characters themselves: a Map of strings would first have to hash them too, and pays a call for each string that is new to V8. */
export const hashLabels: LabelHash = (metricName, labels, seed) => {
  if (typeof metricName !== 'string') return NOT_LABELS
  units = 0
  let hash = mixed(seed, metricName)
  if (labels !== undefined) {
    if (typeof labels !== 'object' || labels === null) return NOT_LABELS
    if (isLabelList(labels)) {
      for (let index = 0; index < labels.length; index++) {
        const label = labels[index]
        const value = label?.value
        if (typeof value !== 'string' || typeof label?.name !== 'string') return NOT_LABELS
        hash = mixed(hash, value)
      }
    } else {
      for (const name in labels) {
        const value = labels[name]
        if (typeof value !== 'string') return NOT_LABELS
        hash = mixed(hash, value)
      }
    }
  }
  // Slots are taken from the low bits, which multiplication alone never reaches from above.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) & 0x7fff_ffff
}

/** Two characters at a time. */
function mixed(hash: number, text: string): number {
  const { length } = text
  let index = 1
  let bits = 0
  for (; index < length; index += 2) {
    const left = text.charCodeAt(index - 1)
    const right = text.charCodeAt(index)
    bits |= left | right
    hash = Math.imul(hash ^ (left | (right << 16)), 0x9e3779b1)
    hash ^= hash >>> 15
  }
  if (index === length) {
    const last = text.charCodeAt(index - 1)
    bits |= last
    hash = Math.imul(hash ^ last, 0x9e3779b1)
  }
  units |= bits
  return hash ^ length ^ (hash >>> 15)
}
