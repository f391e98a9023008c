/** Entries in a batch, for all. */
export const BATCH = 100
/** Requests under way, for all. */
export const IN_FLIGHT = 50
/** Records that are read together, and buffered by the peers. */
export const FETCH = 1_000
export const BYTES_PER_RECORD = 60

/** What is moved: decoded anew from bytes for every round, outside the clock. */
export interface Reading {
  readonly host: string
  readonly cpu: number
  readonly timeMs: number
}

export interface Entry {
  readonly host: string
  readonly value: number
  readonly timeMs: number
}

export function encodeReadings(count: number): Buffer {
  const readings = Array.from({ length: count }, (_, index) => ({
    host: `host-${index % 1000}`,
    cpu: (index * 7) % 100,
    timeMs: 1_800_000_000_000 + index,
  }))
  return Buffer.from(JSON.stringify(readings))
}

export function convertReading({ host, cpu, timeMs }: Reading): Entry {
  return { host, value: cpu, timeMs }
}

/** The store of all variants: takes batches, answers in the next turn of the event loop, and proves what it received. */
export class NullStore {
  #entries = 0
  #sum = 0

  async submit(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return
    for (const entry of entries) {
      this.#entries++
      this.#sum += entry.value + (entry.timeMs % 1000)
    }
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
  }

  get output(): string {
    return JSON.stringify({ entries: this.#entries, sum: this.#sum })
  }
}
