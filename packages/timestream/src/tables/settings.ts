import { OptionsCheck } from '@sluice/core'
import { checkName } from '../record/limits.ts'

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
    const got = given === null ? 'null' : Array.isArray(given) ? 'array' : typeof given
    check.problem(`ensureTable must be a boolean or an object, got ${got}`)
    return
  }
  const settings: EnsureTable = given
  const own = new OptionsCheck('', settings, NAMES, 'ensureTable.')
  own.integer('memoryStoreRetentionHours', { max: 8766 })
  own.integer('magneticStoreRetentionDays', { max: 73_000 })
  for (const name of ['magneticStoreWrites', 'partitionKeyRequired', 'reconcile']) own.boolean(name)
  const { rejectedDataLocation: location, partitionKey } = settings
  if (location !== undefined) {
    const inner = new OptionsCheck('', location, ['bucketName', 'prefix'], 'ensureTable.rejectedDataLocation.')
    inner.string('bucketName', {
      required: typeof location === 'object' && location !== null && !Array.isArray(location),
    })
    inner.string('prefix')
    for (const problem of inner.problems) own.problem(problem)
    if (settings.magneticStoreWrites !== true) {
      own.problem('ensureTable.rejectedDataLocation needs ensureTable.magneticStoreWrites')
    }
  }
  if (typeof partitionKey === 'string' && partitionKey !== '') {
    const problems: string[] = []
    if (partitionKey !== 'measure_name') checkName('dimension', partitionKey, problems)
    for (const problem of problems) own.problem(`ensureTable.partitionKey: ${problem}`)
  } else if (partitionKey !== undefined) {
    own.refuse('partitionKey', 'the name of a dimension, or measure_name')
  }
  if (settings.partitionKeyRequired !== undefined && partitionKey === undefined) {
    own.problem('ensureTable.partitionKeyRequired needs ensureTable.partitionKey')
  }
  for (const problem of own.problems) check.problem(problem)
}
