import { SluiceError } from '@sluice/core'
import { spawnNode } from '@sluice/testkit'
import { expect, test } from 'vitest'

import { s3Checkpoints, type S3CheckpointsOptions } from '../../src/s3-checkpoints.ts'

function problemsOf(options: unknown): unknown {
  try {
    s3Checkpoints(options as S3CheckpointsOptions)
  } catch (error) {
    if (SluiceError.isInstance(error)) return error.facts['problems']
  }
  throw new Error('no SluiceError was thrown')
}

test('all problems are reported at once, without a request', () => {
  const secretAccessKey = 'hunter2'
  const problems = problemsOf({
    bucket: 'Bad Bucket',
    prefix: '/a',
    keep: 0,
    hints: 1,
    requestTimeoutMs: 0,
    client: {},
    aws: { regoin: 'x', credentials: { accessKeyId: '', secretAccessKey } },
    buckets: 1,
  })
  expect(problems).toEqual([
    "unknown option 'buckets'; did you mean 'bucket'?",
    expect.stringContaining('bucket must be 3 to 63 lower-case letters'),
    expect.stringContaining('prefix must be parts of letters'),
    'keep must be an integer from 1 to 1000, got 0 (number)',
    'hints must be a boolean, got 1 (number)',
    'requestTimeoutMs must be an integer from 1 up, got 0 (number)',
    'client must be a client of @aws-sdk/client-s3, got {} (object)',
    'only one of client and aws may be given',
    "unknown option 'aws.regoin'; did you mean 'aws.region'?",
    'aws.credentials.accessKeyId must be a non-empty string',
  ])
  expect(JSON.stringify(problems)).not.toContain(secretAccessKey)
})

test.for([undefined, null, 'state'])('options that are %j are refused', (options) => {
  expect(problemsOf(options)).not.toHaveLength(0)
})

test.for(['state', 'my.bucket-1', 'arn:aws:s3:eu-west-1:123456789012:accesspoint/state'])('bucket %s', (bucket) => {
  expect(s3Checkpoints({ bucket, prefix: 'a/b/' })).toHaveProperty('open')
})

test('without the client for S3, opening says what to install, and the main entry works', async () => {
  const preload = new URL('../support/without-client-s3.ts', import.meta.url)
  await using child = await spawnNode(new URL('../support/open-without-client-s3.ts', import.meta.url), [], {
    execArgv: ['--import', preload.href],
  })
  await child.exit
  expect(child.stdout).toEqual([
    'main entry: function',
    'SLUICE_OPTIONS_INVALID: s3Checkpoints needs the package @aws-sdk/client-s3, which is not installed: npm install @aws-sdk/client-s3',
  ])
}, 30_000)
