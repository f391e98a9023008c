import type { Vitals } from '../subject/vitals.ts'

/** What grew, from the first third after the warm-up to the last: medians. */
export interface Growth {
  readonly heapBytes: number
  readonly residentBytes: number
  readonly resources: number
  readonly openFiles: number
  /** Time between the two, milliseconds. */
  readonly overMs: number
}

/** Of all samples: until then caches fill and code is compiled. */
const WARM_UP_SHARE = 0.3
const MIN_SAMPLES = 30
const MIB = 1024 * 1024
const MAX_HEAP_GROWTH_BYTES = 2 * MIB
/** A pool of connections breathes. */
const MAX_HANDLES_GROWTH = 8
const MAX_RESIDENT_BYTES_A_MINUTE = MIB
/** Over less time the pages of the process say little. */
const MIN_RESIDENT_MS = 10 * 60_000

/** @throws RangeError when there are too few samples to say. */
export function growth(samples: readonly Vitals[]): Growth {
  if (samples.length < MIN_SAMPLES)
    throw new RangeError(`${samples.length} samples say nothing, ${MIN_SAMPLES} are needed`)
  const warm = samples.slice(Math.floor(samples.length * WARM_UP_SHARE))
  const third = Math.floor(warm.length / 3)
  const [first, last] = [warm.slice(0, third), warm.slice(-third)]
  const grew = (of: (vitals: Vitals) => number): number => median(last.map(of)) - median(first.map(of))
  return {
    heapBytes: grew(({ heapBytes }) => heapBytes),
    residentBytes: grew(({ residentBytes }) => residentBytes),
    resources: grew(({ resources }) => resources),
    openFiles: grew(({ openFiles }) => openFiles),
    overMs: grew(({ atMs }) => atMs),
  }
}

/** Every rule that was broken. */
export function brokenSoakRules({ heapBytes, residentBytes, resources, openFiles, overMs }: Growth): readonly string[] {
  const broken: string[] = []
  if (heapBytes > MAX_HEAP_GROWTH_BYTES)
    broken.push(`the heap grew by ${(heapBytes / MIB).toFixed(1)} MiB, at most 2 are allowed`)
  if (resources > MAX_HANDLES_GROWTH)
    broken.push(`${resources} more timers, sockets and requests, at most 8 are allowed`)
  if (openFiles > MAX_HANDLES_GROWTH) broken.push(`${openFiles} more open files, at most 8 are allowed`)
  const aMinute = residentBytes / (overMs / 60_000)
  if (overMs >= MIN_RESIDENT_MS && aMinute > MAX_RESIDENT_BYTES_A_MINUTE)
    broken.push(`the resident memory grew by ${(aMinute / MIB).toFixed(2)} MiB a minute, at most 1 is allowed`)
  return broken
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
