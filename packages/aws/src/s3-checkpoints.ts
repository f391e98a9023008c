import { type CheckpointStorage, systemClock } from '@sluice/core'

import { type S3CheckpointsOptions, s3Storage } from './s3/storage.ts'

export type { S3Sender } from './s3/objects.ts'
export type { S3CheckpointsOptions } from './s3/storage.ts'

/**
 * Keeps checkpoints as objects `<prefix>/<job>/checkpoint-<token>-<id>.json` in an S3 bucket, so that a job goes on where it was
 * on any machine. Needs the package `@aws-sdk/client-s3`.
 *
 * One process owns the checkpoints of a job. S3 cannot tell whether an owner lives, so a second process that starts is not
 * refused: it takes over with a newer token, and the first one ends with `SLUICE_STATE_FENCED` at its next checkpoint, without
 * acknowledging anything. What it stores late is never loaded. Until then both read and write: run one process for each job.
 *
 * `open()` ends with `SLUICE_ACCESS_DENIED` or `SLUICE_STATE_STORAGE`, which name bucket, key and action, and with
 * `SLUICE_STATE_STORAGE` on a server that ignores conditions of writes.
 *
 * See https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem.
 * @example
 * ```ts
 * start({ name: 'hosts', checkpoints: { storage: s3Checkpoints({ bucket: 'my-state', prefix: 'sluice' }) } })
 * ```
 */
export function s3Checkpoints(options: S3CheckpointsOptions): CheckpointStorage {
  return s3Storage(options, { clock: systemClock, random: Math.random })
}
