import type { Labels } from './model.ts'
import { isLabelList } from './time-series.ts'

/** What a {@link LabelHash} leaves behind: two lanes of 32 bits. */
export const lanes = new Int32Array(2)

/**
 * Hashes a metric name and the values of labels, in the order in which they come, into {@link lanes}. Names need no place in it: what
 * is found is compared as a whole.
 *
 * @returns how many labels there are, or -1 if something is not a string.
 */
export type LabelHash = (name: string, labels: Labels | undefined, seed: number) => number

export const hashLabels: LabelHash = (name, labels, seed) => {
  if (typeof name !== 'string') return -1
  let high = seed ^ 0x9e3779b9
  let low = Math.imul(seed, 0x85ebca6b) ^ 0x41c6ce57
  for (let index = 0; index < name.length; index++) {
    const unit = name.charCodeAt(index)
    high = Math.imul(high ^ unit, 0x9e3779b1)
    low = Math.imul(low ^ unit, 0x5f356495)
  }
  let count = 0
  if (labels === undefined) {
    // Nothing to add.
  } else if (typeof labels !== 'object' || labels === null) {
    return -1
  } else if (isLabelList(labels)) {
    for (let position = 0; position < labels.length; position++) {
      const label = labels[position]
      const value = label?.value
      if (typeof value !== 'string' || typeof label?.name !== 'string') return -1
      const { length } = value
      high = Math.imul(high ^ length, 0x85ebca6b)
      for (let index = 0; index < length; index++) {
        const unit = value.charCodeAt(index)
        high = Math.imul(high ^ unit, 0x9e3779b1)
        low = Math.imul(low ^ unit, 0x5f356495)
      }
      low ^= high >>> 15
      count++
    }
  } else {
    for (const labelName in labels) {
      const value = labels[labelName]
      if (typeof value !== 'string') return -1
      const { length } = value
      high = Math.imul(high ^ length, 0x85ebca6b)
      for (let index = 0; index < length; index++) {
        const unit = value.charCodeAt(index)
        high = Math.imul(high ^ unit, 0x9e3779b1)
        low = Math.imul(low ^ unit, 0x5f356495)
      }
      low ^= high >>> 15
      count++
    }
  }
  // The index of the table takes the low bits, which multiplication alone never reaches from above.
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b)
  lanes[0] = high ^ (high >>> 13) ^ (low >>> 7)
  lanes[1] = low
  return count
}
