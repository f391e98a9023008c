import type { WriteRecordsRequest } from '@aws-sdk/client-timestream-write'
import { messageOf, type Reason, SluiceError } from '@sluice/core'
import type { BatchConverter, TimestreamRecord } from './options.ts'

interface Destination {
  readonly databaseName: string
  readonly tableName: string
}

/** A request whose `Records[i]` stands for `records[i]`. */
export type AlignedRequest = WriteRecordsRequest & { readonly Records: TimestreamRecord[] }

/**
 * Makes the request for a batch.
 *
 * @throws SluiceError `SLUICE_BATCH_CONVERTER_NOT_ALIGNED` if the converter's request has not one record for each of the batch;
 * whatever the converter throws.
 */
export function makeRequest(
  records: readonly TimestreamRecord[],
  { databaseName, tableName }: Destination,
  batchConverter: BatchConverter | undefined,
): AlignedRequest {
  if (batchConverter === undefined) {
    return { DatabaseName: databaseName, TableName: tableName, Records: records as TimestreamRecord[] }
  }
  const made: unknown = batchConverter(records)
  const list: unknown = typeof made === 'object' && made !== null ? Reflect.get(made, 'Records') : undefined
  if (!Array.isArray(list) || list.length !== records.length) {
    const got = Array.isArray(list) ? `${list.length}` : 'no list of'
    throw new SluiceError(
      'SLUICE_BATCH_CONVERTER_NOT_ALIGNED',
      `batchConverter must return a request with one record for each of its ${records.length} records, in their order; ` +
        `it returned ${got} records. Filter and multiply in elementConverter.`,
      { facts: { expected: records.length, returned: Array.isArray(list) ? list.length : undefined } },
    )
  }
  const request = made as AlignedRequest
  return {
    ...request,
    DatabaseName: request.DatabaseName ?? databaseName,
    TableName: request.TableName ?? tableName,
  }
}

/** The reason of a request that could not be made because the converter threw. */
export function batchConverterThrew(error: unknown): Reason {
  return { code: 'batchConverterThrew', message: messageOf(error), cause: error }
}
