import { type CheckpointStorage, type Clock, OptionsCheck, type Random } from '@sluice/core'

import {
  AWS_CLIENT_CONFIG_FIELDS,
  type AwsClientConfig,
  awsClientConfig,
  checkAwsClientConfig,
} from '../client-config.ts'
import { awsRequestHandler } from '../request-handler.ts'
import { S3Objects, type S3Sender } from './objects.ts'
import { loadS3Sdk, type S3Sdk } from './sdk.ts'
import { S3CheckpointStore } from './store.ts'

/** Options of `s3Checkpoints`. */
export interface S3CheckpointsOptions {
  /** The bucket, or the ARN of an access point. It must exist. */
  readonly bucket: string
  /** Beginning of every key; `<prefix>/<job>/` holds the checkpoints of a job. A slash is added where it ends without one. @default none */
  readonly prefix?: string
  /** How many whole checkpoints stay, 1 to 1000: an older one is used when the newest is damaged. @default 3 */
  readonly keep?: number
  /**
   * Note beside the checkpoints, once a second while records flow, how far they were emitted: with it a sink knows after a kill
   * which records it may have written already. Each note is one GET and one PUT.
   *
   * @default true
   */
  readonly hints?: boolean
  /** Milliseconds for one try of a request, its body included. @default 10000 */
  readonly requestTimeoutMs?: number
  /** A client of `@aws-sdk/client-s3`, which stays yours to destroy. Not together with `aws`. */
  readonly client?: S3Sender
  /** Region, endpoint and credentials of the client that the storage makes. @default what the AWS SDK finds */
  readonly aws?: AwsClientConfig
}

/** What tests replace. */
export interface S3Surroundings {
  readonly clock: Clock
  readonly random: Random
}

const NAMES = [
  'bucket',
  'prefix',
  'keep',
  'hints',
  'requestTimeoutMs',
  'client',
  'aws',
] as const satisfies readonly (keyof S3CheckpointsOptions)[]

const BUCKET = /^(?:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|arn:aws[a-z-]*:s3:\S+)$/
/** Characters that S3 calls safe, and no empty part. */
const PREFIX = /^(?:[\w!.*'()-]+\/)*[\w!.*'()-]+\/?$/

/** @throws SluiceError `SLUICE_OPTIONS_INVALID` that lists every problem. */
export function s3Storage(options: S3CheckpointsOptions, surroundings: S3Surroundings): CheckpointStorage {
  checkOptions(options)
  const { bucket, prefix = '', keep = 3, hints = true, requestTimeoutMs = 10_000 } = options
  const base = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
  return {
    async open(job, logger) {
      const sdk = await loadS3Sdk()
      const { sender, release } = senderOf(sdk, options, requestTimeoutMs)
      const objects = new S3Objects({ sdk, sender, bucket, requestTimeoutMs, ...surroundings })
      try {
        const folder = `${base}${job}/`
        const { clock } = surroundings
        return await S3CheckpointStore.open({ objects, folder, keep, hints, logger, clock, release })
      } catch (error) {
        release()
        throw error
      }
    },
  }
}

function senderOf(
  sdk: S3Sdk,
  { client, aws = {} }: S3CheckpointsOptions,
  requestTimeoutMs: number,
): { readonly sender: S3Sender; readonly release: () => void } {
  if (client !== undefined) return { sender: client, release: () => {} }
  const made = new sdk.S3Client({
    // The storage repeats requests itself: it has to tell its own repeat from another owner's put.
    maxAttempts: 1,
    ...awsClientConfig(aws),
    requestHandler: awsRequestHandler({ requestTimeoutMs }),
  })
  return { sender: made, release: () => made.destroy() }
}

function checkOptions(options: S3CheckpointsOptions): void {
  const check = new OptionsCheck('s3Checkpoints', options, NAMES)
  if (typeof options === 'object' && options !== null) checkValues(check, options)
  check.throwIfAny()
}

function checkValues(check: OptionsCheck, { client, aws }: S3CheckpointsOptions): void {
  check.string('bucket', {
    required: true,
    pattern: BUCKET,
    says: '3 to 63 lower-case letters, digits, dots and hyphens, or the ARN of an access point',
  })
  check.string('prefix', {
    pattern: PREFIX,
    says: "parts of letters, digits and !-_.*'() with slashes between them, such as 'sluice/production'",
  })
  check.integer('keep', { min: 1, max: 1000 })
  check.boolean('hints')
  check.integer('requestTimeoutMs')
  if (client !== undefined && typeof Reflect.get(Object(client), 'send') !== 'function') {
    check.refuse('client', 'a client of @aws-sdk/client-s3')
  }
  if (client !== undefined && aws !== undefined) check.problem('only one of client and aws may be given')
  if (aws === undefined) return
  if (typeof aws !== 'object' || aws === null) check.refuse('aws', 'an object')
  else {
    const { problems } = new OptionsCheck('aws', aws, AWS_CLIENT_CONFIG_FIELDS, 'aws.')
    for (const problem of problems) check.problem(problem)
    checkAwsClientConfig(check, aws, (field) => `aws.${field}`)
  }
}
