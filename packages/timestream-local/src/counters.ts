/** What a server has taken since its start. */
export interface Counters {
  /** Requests of the write and query APIs, whatever the answer. */
  readonly requests: number
  /** Bytes of their bodies. */
  readonly requestBytes: number
  /** WriteRecords requests that were evaluated. */
  readonly writes: number
  /** Records in them, by outcome. */
  readonly stored: number
  readonly updated: number
  readonly duplicate: number
  readonly rejected: number
  /** Records that were taken and not kept, with `discard`. */
  readonly discarded: number
}

export type MutableCounters = { -readonly [Name in keyof Counters]: Counters[Name] }

export function newCounters(): MutableCounters {
  return {
    requests: 0,
    requestBytes: 0,
    writes: 0,
    stored: 0,
    updated: 0,
    duplicate: 0,
    rejected: 0,
    discarded: 0,
  }
}
