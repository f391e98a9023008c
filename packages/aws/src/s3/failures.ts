import { SluiceError } from '@sluice/core'

import { type AwsFailure, classifyAwsError } from '../classify.ts'

/** The request that failed: an action of IAM, and what it was for. */
export interface S3Target {
  readonly action: 's3:GetObject' | 's3:PutObject' | 's3:DeleteObject' | 's3:ListBucket'
  readonly bucket: string
  /** Of an object, or, for a listing, the beginning of the keys. */
  readonly key: string
}

/** Every right that the storage needs; the first three on the objects, the last on the bucket. */
const NEEDED_ACTIONS = ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:ListBucket'] as const

const ABOUT_DENIED: Readonly<Partial<Record<S3Target['action'], string>>> = {
  's3:GetObject': '; without s3:ListBucket, S3 says this of an object that does not exist, too',
  's3:DeleteObject': '; without it, old checkpoints would stay for ever, so every start tries it',
}

/** The bucket answers, but not here. */
const OTHER_REGION: ReadonlySet<string> = new Set([
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
  'PermanentRedirect',
  'TemporaryRedirect',
])

/** Refused for a conditional write of the same key, or another change of the bucket, that runs at this moment. */
const CONFLICTS: ReadonlySet<string> = new Set(['ConditionalRequestConflict', 'OperationAborted'])

/** The condition of a put was not met; also when the object that it names is gone. */
export function isConditionFailure(error: unknown): boolean {
  const { code, httpStatus } = classifyAwsError(error)
  return httpStatus === 412 || code === 'PreconditionFailed' || code === 'NoSuchKey'
}

export function isNoSuchKey(error: unknown): boolean {
  return classifyAwsError(error).code === 'NoSuchKey'
}

/**
 * For an answer that says "done" and is not S3's: that of a proxy, or of another server at the endpoint. What the request did is
 * unknown. Nothing of its body is quoted, which may hold the signed request.
 *
 * @param missing - what S3 would have said.
 */
export function foreignAnswer(output: unknown, missing?: 'ETag' | 'IsTruncated' | 'NextContinuationToken'): Error {
  const { ContentType, ContentLength, $metadata } = Object(output) as Record<string, unknown>
  const seen = [
    ...(typeof ContentType === 'string' ? [`content type ${ContentType}`] : []),
    ...(typeof ContentLength === 'number' ? [`${ContentLength} bytes`] : []),
    ...(missing === undefined ? [] : [`no ${missing}`]),
  ]
  const message = `what was received is not an answer of S3 (${seen.join(', ')}): is the endpoint S3, or does a proxy answer in its place?`
  return Object.assign(new Error(message), {
    name: 'ForeignAnswer',
    $metadata: { httpStatusCode: 200, ...Object($metadata) },
  })
}

/** Whether the same request may succeed. A put keeps its condition, so a repeat after an unknown outcome changes nothing twice. */
export function isRepeatable(error: unknown): boolean {
  return !SluiceError.isInstance(error) && isRepeatableFailure(classifyAwsError(error))
}

function isRepeatableFailure({ kind, code, renewable }: AwsFailure): boolean {
  return kind === 'throttled' || kind === 'transient' || kind === 'unknown' || renewable === true || CONFLICTS.has(code)
}

/**
 * The error that a failed request ends with. The error of the SDK is its cause only where it was not made of an answer: S3 may
 * send the signed request back, session token included.
 */
export function storageError(error: unknown, { action, bucket, key }: S3Target): SluiceError {
  if (SluiceError.isInstance(error)) return error
  const failure = classifyAwsError(error)
  const { kind, code, message, requestId, httpStatus, renewable } = failure
  const facts = {
    bucket,
    key,
    action,
    awsCode: code,
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(requestId === undefined ? {} : { requestId }),
  }
  const options = { facts, ...(httpStatus === undefined ? { cause: error } : {}) }
  const place = `s3://${bucket}/${key}`
  const said = `${code}: ${message}`
  if (message === 'Region is missing') {
    return new SluiceError(
      'SLUICE_OPTIONS_INVALID',
      `${place}: no region; set aws.region, AWS_REGION or one in the AWS profile`,
      options,
    )
  }
  if (kind === 'accessDenied' || code.startsWith('KMS')) {
    const rights = NEEDED_ACTIONS.join(', ')
    const why = ABOUT_DENIED[action] ?? ''
    return new SluiceError(
      'SLUICE_ACCESS_DENIED',
      `${action} was denied on ${place} (${said})${why}. Checkpoints need ${rights} and, with a key of KMS, kms:GenerateDataKey and kms:Decrypt`,
      { ...options, restartable: renewable === true },
    )
  }
  if (code === 'NoSuchBucket') {
    return new SluiceError(
      'SLUICE_STATE_STORAGE',
      `the bucket ${bucket} does not exist (${action} of ${place})`,
      options,
    )
  }
  if (OTHER_REGION.has(code) || httpStatus === 301 || httpStatus === 307) {
    return new SluiceError(
      'SLUICE_STATE_STORAGE',
      `the bucket ${bucket} is in another region: set aws.region (${action} of ${place}: ${said})`,
      options,
    )
  }
  return new SluiceError('SLUICE_STATE_STORAGE', `${action} of ${place} failed: ${said}`, {
    ...options,
    restartable: isRepeatableFailure(failure),
  })
}
