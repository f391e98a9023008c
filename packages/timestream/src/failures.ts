import { SluiceError } from '@sluice/core'
import type { WriteFailure } from './classify.ts'
import type { AlignedRequest } from './request.ts'

/** The service takes no new customers; it says so with this text. */
const CLOSED = 'Only existing Timestream for LiveAnalytics customers'

/** The error that ends the job for a failure of which no record is guilty. */
export function fatalError(failure: WriteFailure, request: AlignedRequest): SluiceError {
  const { DatabaseName: database, TableName: table } = request
  const said = `${failure.code}: ${failure.message}`
  const facts = {
    database,
    table,
    code: failure.code,
    ...(failure.httpStatus === undefined ? {} : { httpStatus: failure.httpStatus }),
    ...(failure.requestId === undefined ? {} : { requestId: failure.requestId }),
  }
  switch (failure.action) {
    case 'denied':
      return new SluiceError('SLUICE_ACCESS_DENIED', `${deniedAdvice(failure)} ${said}`, {
        facts,
        // Credentials that could not be fetched may be there on the next attempt; a missing right will not.
        restartable: failure.code === 'CredentialsProviderError',
      })
    case 'missing':
      return new SluiceError(
        'SLUICE_DESTINATION_NOT_FOUND',
        `Timestream has no table '${table}' in database '${database}', or it is not active. The sink does not create it. ${said}`,
        { facts },
      )
    case 'rediscover':
      return new SluiceError(
        'SLUICE_SINK_FAILED',
        `Timestream refused every endpoint that was discovered anew. Check the region and writeClientConfig.endpointOverride. ${said}`,
        { facts, restartable: true },
      )
    case 'fatal':
    case 'invalid':
    case 'rejected':
    case 'retry':
    default:
      return new SluiceError(
        'SLUICE_SINK_FAILED',
        `Writing to Timestream failed, and a repeat does not help. ${said}`,
        {
          facts,
        },
      )
  }
}

function deniedAdvice({ message, httpStatus }: WriteFailure): string {
  if (message.includes(CLOSED)) {
    return (
      'Amazon Timestream for LiveAnalytics takes no new customers since 2025-06-20, and this AWS account is not one of the ' +
      'existing ones: use credentials of an account that is, or another store.'
    )
  }
  if (httpStatus === undefined) return 'No usable AWS credentials were found: see credentialsProviderType.'
  return (
    'AWS denied writing to Timestream: the credentials need timestream:WriteRecords on the table and ' +
    'timestream:DescribeEndpoints.'
  )
}
