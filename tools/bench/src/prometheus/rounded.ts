import type { Quartiles } from '../measure.ts'

/** To two places. */
export function rounded(value: number): number {
  return Math.round(value * 100) / 100
}

export function roundedQuartiles({ median, lower, upper }: Quartiles): Quartiles {
  return { median: rounded(median), lower: rounded(lower), upper: rounded(upper) }
}
