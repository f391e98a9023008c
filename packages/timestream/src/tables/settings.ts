import type { OptionsCheck } from '@sluice/core'
import { shown } from '../record/shown.ts'

/** How a table is created, and what it should be like. What is left out is not looked at in a table that exists. */
export interface EnsureTable {
  /** Hours for which the memory store keeps records: 1 to 8766. @default that of the service, 6 */
  readonly memoryStoreRetentionHours?: number
  /** Days for which the magnetic store keeps records: 1 to 73000. @default that of the service, 73000 */
  readonly magneticStoreRetentionDays?: number
  /** Takes records that are older than the memory store's retention. @default that of the service, false */
  readonly magneticStoreWrites?: boolean
  /** Where the service writes, later, about records that the magnetic store rejected. Needs `magneticStoreWrites`. */
  readonly rejectedDataLocation?: { readonly bucketName: string; readonly prefix?: string }
  /** A dimension by which the service spreads the data, or `measure_name`. Cannot be changed later. @default the service's */
  readonly partitionKey?: string
  /** True refuses records without the dimension of `partitionKey`. @default false */
  readonly partitionKeyRequired?: boolean
  /** True changes a table that exists and differs; false warns of it. @default false */
  readonly reconcile?: boolean
}

const NAMES = [
  'memoryStoreRetentionHours',
  'magneticStoreRetentionDays',
  'magneticStoreWrites',
  'rejectedDataLocation',
  'partitionKey',
  'partitionKeyRequired',
  'reconcile',
] as const

export function checkEnsureTable(check: OptionsCheck, given: unknown): void {
  if (given === undefined || typeof given === 'boolean') return
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    check.problem(`ensureTable must be a boolean or an object, got ${Array.isArray(given) ? 'array' : typeof given}`)
    return
  }
  const settings: EnsureTable = given
  for (const name of Object.keys(given)) {
    if (!NAMES.includes(name as 'reconcile')) check.problem(`unknown option 'ensureTable.${name}'`)
  }
  const ranges = [
    ['memoryStoreRetentionHours', 8766],
    ['magneticStoreRetentionDays', 73_000],
  ] as const
  for (const [name, max] of ranges) {
    const value: unknown = settings[name]
    if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max))
      continue
    check.problem(`ensureTable.${name} must be an integer from 1 to ${max}, got ${shown(value)}`)
  }
  for (const name of ['magneticStoreWrites', 'partitionKeyRequired', 'reconcile'] as const) {
    if (settings[name] !== undefined && typeof settings[name] !== 'boolean') {
      check.problem(`ensureTable.${name} must be a boolean, got ${typeof settings[name]}`)
    }
  }
  const { rejectedDataLocation: location, partitionKey } = settings
  if (location !== undefined && (typeof location?.bucketName !== 'string' || location.bucketName === '')) {
    check.problem('ensureTable.rejectedDataLocation must be an object with bucketName')
  }
  if (location !== undefined && settings.magneticStoreWrites !== true) {
    check.problem('ensureTable.rejectedDataLocation needs ensureTable.magneticStoreWrites')
  }
  if (partitionKey !== undefined && (typeof partitionKey !== 'string' || partitionKey === '')) {
    check.problem('ensureTable.partitionKey must be the name of a dimension, or measure_name')
  }
  if (settings.partitionKeyRequired !== undefined && partitionKey === undefined) {
    check.problem('ensureTable.partitionKeyRequired needs ensureTable.partitionKey')
  }
}
