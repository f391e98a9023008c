import type { WriteRecordsRequest } from '@aws-sdk/client-timestream-write'
import { type ExplainedEntry, explainEntries, type Explanation, type Reason, SluiceError } from '@sluice/core'
import { convertElement } from './convert.ts'
import type { ResolvedOptions, TimestreamRecord } from './options.ts'
import { batchConverterThrew, makeRequest } from './request.ts'
import { requestSizeInBytes, recordSizeInBytes } from './size.ts'

const BILLED_UNIT_BYTES = 1024

/** What the sink would send for the value: each record as if it were sent alone. Makes no client and sends nothing. */
export function explainValue<In>(options: ResolvedOptions<In>, value: In): Explanation {
  return explainEntries(
    {
      convert: (given: In, emit: (record: TimestreamRecord) => void) =>
        convertElement(options.elementConverter, given, emit),
      sizeInBytes: recordSizeInBytes,
      limits: options.engine,
      send: (record) => explainRecord(options, record),
    },
    value,
  )
}

function explainRecord<In>(
  options: ResolvedOptions<In>,
  record: TimestreamRecord,
): Partial<Pick<ExplainedEntry, 'entry' | 'destination' | 'billed' | 'refusals'>> {
  let request: WriteRecordsRequest
  try {
    request = makeRequest([record], options, options.batchConverter)
  } catch (error) {
    return { refusals: [reasonOf(error)] }
  }
  return {
    entry: options.batchConverter === undefined ? record : request,
    destination: `${request.DatabaseName}/${request.TableName}`,
    billed: { 'writes of 1 KiB': Math.max(1, Math.ceil(requestSizeInBytes(request) / BILLED_UNIT_BYTES)) },
  }
}

/** The batch converter is at fault: the job would fail where it is out of step, and refuse the record where it throws. */
function reasonOf(error: unknown): Reason {
  return SluiceError.isInstance(error) ? { code: error.code, message: error.message } : batchConverterThrew(error)
}
