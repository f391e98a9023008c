import type { Labels } from './model.ts'
import { isLabelList } from './time-series.ts'

/** What a {@link LabelHash} says of labels that are none, or in which something is not a string. */
export const NOT_LABELS = -1

/**
 * Hashes a metric name and the values of labels in the order in which they come: an integer from 0 to 2^31 - 1, or {@link NOT_LABELS}.
 * Names need no place in it, since what has the same hash is compared as a whole; a bad hash costs time, and nothing else.
 */
export type LabelHash = (metricName: string, labels: Labels | undefined, seed: number) => number

/** The characters themselves: a Map of strings would first have to hash them too, and pays a call for each string that is new to V8. */
export const hashLabels: LabelHash = (metricName, labels, seed) => {
  if (typeof metricName !== 'string') return NOT_LABELS
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
  for (; index < length; index += 2) {
    hash = Math.imul(hash ^ (text.charCodeAt(index - 1) | (text.charCodeAt(index) << 16)), 0x9e3779b1)
    hash ^= hash >>> 15
  }
  if (index === length) hash = Math.imul(hash ^ text.charCodeAt(index - 1), 0x9e3779b1)
  return hash ^ length ^ (hash >>> 15)
}
