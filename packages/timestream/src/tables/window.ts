import type { Table } from '@aws-sdk/client-timestream-write'
import type { Reason } from '@sluice/core'
import type { Entry } from '../record/entry.ts'
import { MAX_FUTURE_MS } from '../record/limits.ts'
import { timeMs } from '../record/values.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** How old a record may be that the table takes. */
export interface RetentionWindow {
  readonly maxAgeMs: number
}

/** Undefined if the description does not say. */
export function windowOf(table: Table | undefined): RetentionWindow | undefined {
  const { MemoryStoreRetentionPeriodInHours: hours, MagneticStoreRetentionPeriodInDays: days } =
    table?.RetentionProperties ?? {}
  const takesOld = table?.MagneticStoreWriteProperties?.EnableMagneticStoreWrites === true
  if (takesOld) return days === undefined ? undefined : { maxAgeMs: days * DAY_MS }
  return hours === undefined ? undefined : { maxAgeMs: hours * HOUR_MS }
}

/** Why the table would not take the record now, or undefined. */
export function outsideWindow(
  { maxAgeMs }: RetentionWindow,
  { time, form }: Entry,
  wallNow: number,
): Reason | undefined {
  if (time === '') return undefined
  const age = wallNow - timeMs(time, form.unit)
  if (age <= maxAgeMs && age >= -MAX_FUTURE_MS) return undefined
  const where =
    age > 0
      ? `${Math.round(age / 1000)} s old; the table takes ${maxAgeMs / 1000} s`
      : `${Math.round(-age / 1000)} s in the future; the service takes ${MAX_FUTURE_MS / 1000} s`
  return { code: 'OutsideRetention', message: `not sent: the record is ${where} (option: checkRetention)` }
}
