import type { SenderOptions } from './sender.ts'

export const DIRECT = 'direct'
export const SDK_TRANSPORT = 'sdk transport'
export const STOCK = 'SDK loop, stock'
export const TUNED = 'SDK loop, tuned'
export const TUNED_COMMON = 'SDK loop, tuned, with common attributes'
export const RAW = 'raw POST of ready bytes'

export type VariantName =
  | typeof DIRECT
  | typeof SDK_TRANSPORT
  | typeof STOCK
  | typeof TUNED
  | typeof TUNED_COMMON
  | typeof RAW

/** One round of one variant. */
export interface Task extends SenderOptions {
  readonly variant: VariantName
  /** Has the rows as JSON, a line for each batch. */
  readonly file: string
}
