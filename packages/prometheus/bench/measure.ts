import { setFlagsFromString } from 'node:v8'

/** One way of doing the work. */
export interface Variant {
  readonly name: string
  /** The parts of one round: each decodes its inputs from text, outside the clock, and gives back what is to be measured. */
  parts(round: number): Iterable<() => void>
}

/** Work per CPU-second of one variant, round by round. */
export type Rates = readonly number[]

const WARM_UP = 12

// Or threads that collect what decoding left behind are counted as work of whoever comes next. A collection before the clock starts
// would take the caches, and the pages of new objects, from both.
setFlagsFromString('--single-threaded-gc')

/** Runs the variants in turn, A B A B; the first rounds warm up and are not counted. */
export function interleave(variants: readonly Variant[], rounds: number, work: number): ReadonlyMap<string, Rates> {
  const rates = new Map<string, number[]>(variants.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds + WARM_UP; round++) {
    for (const variant of variants) {
      let microseconds = 0
      for (const run of variant.parts(round)) {
        const start = process.cpuUsage()
        run()
        const { user, system } = process.cpuUsage(start)
        microseconds += user + system
      }
      if (round >= WARM_UP) rates.get(variant.name)?.push((work / microseconds) * 1e6)
    }
  }
  return rates
}

export function median(values: Rates): number {
  return quantile(values, 0.5)
}

/** @param share - from 0 to 1; between two values it is interpolated. */
export function quantile(values: Rates, share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const position = share * (sorted.length - 1)
  const below = sorted[Math.floor(position)] ?? Number.NaN
  const above = sorted[Math.ceil(position)] ?? Number.NaN
  return below + (above - below) * (position - Math.floor(position))
}
