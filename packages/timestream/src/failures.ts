import { SluiceError } from '@sluice/core'
import type { WriteFailure } from './classify.ts'

/** The service takes no new customers; it says so with this text. */
const CLOSED = 'Only existing Timestream for LiveAnalytics customers'

/** What the SDK throws. */
const NO_REGION = 'Region is missing'

/**
 * Says whether `failProcessingOnErrorDefault: false` may drop the request's records: only for a lasting refusal by the service
 * itself. Not for what passes (a restart helps), nor for what went wrong before the request or with the caller's credentials.
 */
export function mayBeDropped({ action, beforeRequest }: WriteFailure): boolean {
  return !beforeRequest && (action === 'denied' || action === 'missing' || action === 'fatal')
}

/** What the service was asked, to write or about the table, and where. */
export interface Asked {
  readonly database: string
  readonly table: string
  readonly asked: 'write' | 'table'
  /** The next attempt of the job creates a table that is missing. */
  readonly isEnsured: boolean
}

/** The error that ends the job for a failure of which no record is guilty. */
export function fatalError(failure: WriteFailure, { database, table, asked, isEnsured }: Asked): SluiceError {
  const said = `${failure.code}: ${failure.message}`
  const facts = {
    database,
    table,
    code: failure.code,
    ...(failure.httpStatus === undefined ? {} : { httpStatus: failure.httpStatus }),
    ...(failure.requestId === undefined ? {} : { requestId: failure.requestId }),
  }
  if (failure.httpStatus === undefined && failure.message.includes(NO_REGION)) {
    const message =
      'No AWS region for Timestream: set writeClientConfig.region, AWS_REGION or a region in the AWS profile; a client of yours needs its own.'
    return new SluiceError('SLUICE_OPTIONS_INVALID', message, { facts })
  }
  switch (failure.action) {
    case 'denied':
      return new SluiceError('SLUICE_ACCESS_DENIED', `${deniedAdvice(failure, asked)} ${said}`, { facts })
    case 'credentials':
      return new SluiceError('SLUICE_ACCESS_DENIED', `${credentialsAdvice(failure)} ${said}`, {
        facts,
        // How long to go on is the restart strategy's to say; a client of our own then looks for credentials anew.
        restartable: failure.renewable === true,
      })
    case 'missing':
      return new SluiceError(
        'SLUICE_DESTINATION_NOT_FOUND',
        `Timestream has no table '${table}' in database '${database}', or it is not active. ${missingAdvice(isEnsured)} ${said}`,
        { facts, restartable: isEnsured },
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
      return asked === 'write'
        ? new SluiceError('SLUICE_SINK_FAILED', `Writing to Timestream failed, and a repeat does not help. ${said}`, {
            facts,
          })
        : new SluiceError(
            'SLUICE_SINK_FAILED',
            `Asking Timestream for the table failed (options: ensureTable, checkRetention). ${said}`,
            // What passes was repeated as often as retry.maxAttempts says.
            { facts, restartable: failure.action === 'retry' },
          )
  }
}

function missingAdvice(isEnsured: boolean): string {
  return isEnsured
    ? 'Was it deleted? The next attempt of the job creates it again (option: ensureTable).'
    : 'Option: ensureTable creates it.'
}

function credentialsAdvice({ renewable }: WriteFailure): string {
  return renewable === true
    ? 'AWS credentials could not be fetched, or have expired, and repeats did not help: see credentialsProviderType, and check the clock of this machine.'
    : 'AWS does not accept the credentials: see credentialsProviderType.'
}

function deniedAdvice({ message }: WriteFailure, asked: 'write' | 'table'): string {
  if (message.includes(CLOSED)) {
    return (
      'Amazon Timestream for LiveAnalytics takes no new customers since 2025-06-20, and this AWS account is not one of the ' +
      'existing ones: use credentials of an account that is, or another store.'
    )
  }
  if (asked === 'table') {
    return (
      'AWS denied asking Timestream for the table: checkRetention needs timestream:DescribeTable, ensureTable also ' +
      'timestream:CreateTable, CreateDatabase and, to reconcile, UpdateTable; both need timestream:DescribeEndpoints.'
    )
  }
  return (
    'AWS denied writing to Timestream: the credentials need timestream:WriteRecords on the table and ' +
    'timestream:DescribeEndpoints.'
  )
}
