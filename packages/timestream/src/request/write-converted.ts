import type { _Record, WriteRecordsRequest } from '@aws-sdk/client-timestream-write'
import { parseJson, stringifyJson } from '@sluice/aws/json-client'
import { messageOf, type Reason, SluiceError } from '@sluice/core'
import type { BatchConverter } from '../options.ts'
import { countMeasures, requestSizeInBytes } from '../size.ts'
import { ignoreRejections } from '../unread.ts'
import type { WriteRequest } from './request.ts'

/** A request that a `batchConverter` made. */
export class ConvertedRequest implements WriteRequest {
  readonly databaseName: string
  readonly tableName: string
  readonly count: number
  readonly measures: number
  readonly commonDimensions: number
  readonly bytes: number
  /** Written at once: the converter may use its request again. */
  readonly body: Uint8Array

  /** @throws TypeError for a request that JSON cannot express. */
  constructor(request: WriteRecordsRequest & { readonly Records: readonly _Record[] }) {
    this.body = Buffer.from(stringifyJson(request))
    this.databaseName = request.DatabaseName ?? ''
    this.tableName = request.TableName ?? ''
    this.count = request.Records.length
    this.measures = countMeasures(request)
    this.commonDimensions = request.CommonAttributes?.Dimensions?.length ?? 0
    this.bytes = requestSizeInBytes(request)
  }

  toSdk(): WriteRecordsRequest {
    return parseJson(Buffer.from(this.body).toString()) as WriteRecordsRequest
  }
}

/**
 * Makes the request for a batch.
 *
 * @throws SluiceError `SLUICE_BATCH_CONVERTER_NOT_ALIGNED` if the converter's request has not one record for each of the batch, or
 * promises; `SLUICE_DESTINATION_NOT_FOUND` if it has no table; whatever the converter throws.
 */
export function convertBatch(
  records: readonly _Record[],
  batchConverter: BatchConverter,
  databaseName: string | undefined,
  tableName: string | undefined,
): ConvertedRequest {
  // Before: the list is the converter's to change.
  const expected = records.length
  const made: unknown = batchConverter(records)
  const list: unknown = typeof made === 'object' && made !== null ? Reflect.get(made, 'Records') : undefined
  const returned = Array.isArray(list) ? list.length : undefined
  if (ignoreRejections(made)) {
    throw new SluiceError(
      'SLUICE_BATCH_CONVERTER_NOT_ALIGNED',
      'batchConverter is synchronous: it must return a request whose records and attributes are values, and it returned a promise, or one among them',
      { facts: { expected, returned } },
    )
  }
  if (returned !== expected) {
    throw new SluiceError(
      'SLUICE_BATCH_CONVERTER_NOT_ALIGNED',
      `batchConverter must return a request with one record for each of its ${expected} records, in their order; ` +
        `it returned ${returned ?? 'no list of'} records. Filter and multiply in elementConverter.`,
      { facts: { expected, returned } },
    )
  }
  const request = made as WriteRecordsRequest & { readonly Records: _Record[] }
  const database = request.DatabaseName ?? databaseName
  const table = request.TableName ?? tableName
  if (database === undefined || table === undefined) {
    throw new SluiceError(
      'SLUICE_DESTINATION_NOT_FOUND',
      'batchConverter returned a request without DatabaseName or TableName, and the options databaseName and tableName are not given',
    )
  }
  return new ConvertedRequest({ ...request, DatabaseName: database, TableName: table })
}

/** The reason of a request that could not be made because the converter threw. */
export function batchConverterThrew(error: unknown): Reason {
  return { code: 'batchConverterThrew', message: messageOf(error), cause: error }
}
