import { isDeepStrictEqual } from 'node:util'
import {
  CreateDatabaseCommand,
  CreateTableCommand,
  type CreateTableRequest,
  DescribeTableCommand,
  type MagneticStoreWriteProperties,
  type PartitionKey,
  type RetentionProperties,
  type Table,
  UpdateTableCommand,
} from '@aws-sdk/client-timestream-write'
import { type Logger, SluiceError } from '@sluice/core'
import { shown } from '../record/shown.ts'
import type { Control } from './control.ts'
import type { EnsureTable } from './settings.ts'

/** What the service takes where nothing is said. */
const DEFAULT_HOURS = 6
const DEFAULT_DAYS = 73_000

export interface TableId {
  readonly databaseName: string
  readonly tableName: string
}

/** @throws what {@link Control.ask} throws. */
export async function describeTable(control: Control, id: TableId): Promise<Table | undefined> {
  const names = { DatabaseName: id.databaseName, TableName: id.tableName }
  return (await control.ask((client, options) => client.send(new DescribeTableCommand(names), options))).Table
}

/**
 * Makes sure that the table exists, and is as the settings say; several processes may do so at one time.
 *
 * @throws what {@link Control.ask} throws; SluiceError `SLUICE_DESTINATION_NOT_FOUND`, restartable, for a table that is being deleted or restored.
 */
export async function ensureTable(
  control: Control,
  id: TableId,
  settings: EnsureTable,
  logger: Logger,
): Promise<Table | undefined> {
  const found = await orMissing(describeTable(control, id))
  const table = found ?? (await createOrFind(control, id, settings, logger))
  const status = table?.TableStatus
  if (status !== undefined && status !== 'ACTIVE') {
    const message = `Timestream table '${id.tableName}' in database '${id.databaseName}' is ${status}, not ACTIVE`
    throw new SluiceError('SLUICE_DESTINATION_NOT_FOUND', message, { restartable: true, facts: { ...id, status } })
  }
  return table === undefined ? undefined : adjust(control, id, table, settings, logger)
}

async function createOrFind(
  control: Control,
  id: TableId,
  settings: EnsureTable,
  logger: Logger,
): Promise<Table | undefined> {
  const request = createRequest(id, settings)
  const create = async (): Promise<Table | undefined> =>
    (await control.ask((client, options) => client.send(new CreateTableCommand(request), options))).Table
  try {
    const made = await orMissing(create())
    if (made === undefined) {
      const database = new CreateDatabaseCommand({ DatabaseName: id.databaseName })
      await orConflict(control.ask((client, options) => client.send(database, options)))
      logger.info({ ...id }, `Created the Timestream database '${id.databaseName}', or another process did.`)
      await create()
    }
  } catch (error) {
    // Another process was faster.
    if (nameOf(error) !== 'ConflictException') throw error
    return describeTable(control, id)
  }
  logger.info({ ...id }, `Created the Timestream table '${id.tableName}' in database '${id.databaseName}'.`)
  return describeTable(control, id)
}

function createRequest({ databaseName, tableName }: TableId, settings: EnsureTable): CreateTableRequest {
  const retention = retentionOf(settings)
  const magnetic = magneticOf(settings)
  const key = partitionKeyOf(settings)
  return {
    DatabaseName: databaseName,
    TableName: tableName,
    ...(retention === undefined ? {} : { RetentionProperties: retention }),
    ...(magnetic === undefined ? {} : { MagneticStoreWriteProperties: magnetic }),
    ...(key === undefined ? {} : { Schema: { CompositePartitionKey: [key] } }),
  }
}

function partitionKeyOf({
  partitionKey: name,
  partitionKeyRequired: isRequired = false,
}: EnsureTable): PartitionKey | undefined {
  if (name === undefined) return undefined
  if (name === 'measure_name') return { Type: 'MEASURE' }
  return { Type: 'DIMENSION', Name: name, EnforcementInRecord: isRequired ? 'REQUIRED' : 'OPTIONAL' }
}

/** Whether records need the dimension of the table's partition key; undefined if that is not the one of the settings. */
function requiresKey({ Schema: schema }: Table, { partitionKey }: EnsureTable): boolean | undefined {
  const key = schema?.CompositePartitionKey?.[0]
  if (key?.Type !== 'DIMENSION' || key.Name !== partitionKey) return undefined
  return key.EnforcementInRecord === 'REQUIRED'
}

/** The service takes both or none; `of` is what a table has. */
function retentionOf(settings: EnsureTable, of?: RetentionProperties): RetentionProperties | undefined {
  const { memoryStoreRetentionHours: hours, magneticStoreRetentionDays: days } = settings
  if (hours === undefined && days === undefined) return undefined
  return {
    MemoryStoreRetentionPeriodInHours: hours ?? of?.MemoryStoreRetentionPeriodInHours ?? DEFAULT_HOURS,
    MagneticStoreRetentionPeriodInDays: days ?? of?.MagneticStoreRetentionPeriodInDays ?? DEFAULT_DAYS,
  }
}

/** The service takes all or none; `of` is what a table has. */
function magneticOf(
  { magneticStoreWrites: writes, rejectedDataLocation: location }: EnsureTable,
  of?: MagneticStoreWriteProperties,
): MagneticStoreWriteProperties | undefined {
  if (writes === undefined) return undefined
  const magnetic = { ...of, EnableMagneticStoreWrites: writes }
  if (location === undefined) return magnetic
  const { bucketName, prefix } = location
  const s3 = {
    ...of?.MagneticStoreRejectedDataLocation?.S3Configuration,
    BucketName: bucketName,
    ...(prefix === undefined ? {} : { ObjectKeyPrefix: prefix }),
  }
  return { ...magnetic, MagneticStoreRejectedDataLocation: { S3Configuration: s3 } }
}

/** Changes what differs, or warns of it. */
async function adjust(
  control: Control,
  id: TableId,
  table: Table,
  settings: EnsureTable,
  logger: Logger,
): Promise<Table> {
  const differences = differencesOf(table, settings)
  const key = table.Schema?.CompositePartitionKey?.[0]
  const keyName = key?.Type === 'MEASURE' ? 'measure_name' : key?.Name
  if (settings.partitionKey !== undefined && keyName !== settings.partitionKey) {
    const text = `The partition key of the Timestream table '${id.tableName}' is ${keyName ?? 'that of the service'}, not '${settings.partitionKey}', and cannot be changed.`
    logger.warn({ ...id }, `${text} Option: ensureTable.partitionKey.`)
  }
  if (differences.length === 0) return table
  const text = `The Timestream table '${id.tableName}' in database '${id.databaseName}' is not as ensureTable says: ${differences.join('; ')}.`
  if (settings.reconcile !== true) {
    logger.warn({ ...id }, `${text} Option: ensureTable.reconcile.`)
    return table
  }
  const retention = retentionOf(settings, table.RetentionProperties)
  const magnetic = magneticOf(settings, table.MagneticStoreWriteProperties)
  const isMagneticNew = magnetic !== undefined && !isDeepStrictEqual(magnetic, table.MagneticStoreWriteProperties)
  const required = requiresKey(table, settings)
  const isKeyNew = required !== undefined && required !== (settings.partitionKeyRequired ?? required)
  const wantedKey = isKeyNew ? partitionKeyOf(settings) : undefined
  const update = new UpdateTableCommand({
    DatabaseName: id.databaseName,
    TableName: id.tableName,
    ...(retention === undefined ? {} : { RetentionProperties: retention }),
    ...(isMagneticNew ? { MagneticStoreWriteProperties: magnetic } : {}),
    ...(wantedKey === undefined ? {} : { Schema: { CompositePartitionKey: [wantedKey] } }),
  })
  const changed = await control.ask((client, options) => client.send(update, options))
  logger.info({ ...id }, `${text} It was changed.`)
  return changed.Table ?? table
}

function differencesOf(table: Table, settings: EnsureTable): readonly string[] {
  const { RetentionProperties: retention, MagneticStoreWriteProperties: magnetic } = table
  const s3 = magnetic?.MagneticStoreRejectedDataLocation?.S3Configuration
  const { rejectedDataLocation: location } = settings
  const required = requiresKey(table, settings)
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    [
      'memoryStoreRetentionHours',
      settings.memoryStoreRetentionHours,
      retention?.MemoryStoreRetentionPeriodInHours ?? DEFAULT_HOURS,
    ],
    [
      'magneticStoreRetentionDays',
      settings.magneticStoreRetentionDays,
      retention?.MagneticStoreRetentionPeriodInDays ?? DEFAULT_DAYS,
    ],
    ['magneticStoreWrites', settings.magneticStoreWrites, magnetic?.EnableMagneticStoreWrites ?? false],
    ['rejectedDataLocation.bucketName', location?.bucketName, s3?.BucketName],
    ['rejectedDataLocation.prefix', location?.prefix, s3?.ObjectKeyPrefix],
    ['partitionKeyRequired', required === undefined ? undefined : settings.partitionKeyRequired, required],
  ]
  return pairs.flatMap(([name, wanted, found]) =>
    wanted === undefined || wanted === found ? [] : [`${name} is ${shown(found)}, wanted is ${shown(wanted)}`],
  )
}

async function orMissing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (nameOf(error) === 'ResourceNotFoundException') return undefined
    throw error
  }
}

async function orConflict(asked: Promise<unknown>): Promise<void> {
  try {
    await asked
  } catch (error) {
    if (nameOf(error) !== 'ConflictException') throw error
  }
}

function nameOf(error: unknown): unknown {
  return Reflect.get(Object(error), 'name')
}
