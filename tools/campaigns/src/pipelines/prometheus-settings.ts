import type { GeneratedRecord } from '../campaign.ts'

/** What the subject is told. */
export interface PrometheusSettings {
  /** The memory service. */
  readonly endpoint: string
  /** The proxy before the receiver. */
  readonly remoteWriteUrl: string
  readonly stateFolder: string
  readonly checkpointIntervalMs: number
  readonly maxBatchSizeInSamples: number
  /** For refused records; without it they are dropped. */
  readonly letterFolder?: string
}

export const JOB = 'campaign'

export const METRIC = 'readings'

const HEX_DIGITS = 13

/** The hash of a record as a double: 52 bits of it. */
export function valueOf({ hash }: Pick<GeneratedRecord, 'hash'>): number {
  return Number.parseInt(hash.slice(0, HEX_DIGITS), 16)
}
