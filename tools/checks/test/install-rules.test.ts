import { expect, test } from 'vitest'

import { unasked } from '../src/publish/consumer.ts'

test.each([
  ['@sluice/core', ['@sluice/core'], []],
  ['@sluice/core', ['@sluice/core', 'prom-client'], ['prom-client']],
  ['@sluice/timestream', ['@sluice/timestream', '@sluice/core', '@aws-sdk/client-timestream-write', 'tslib'], []],
  [
    '@sluice/timestream',
    ['@sluice/kinesis', '@aws-sdk/client-kinesis'],
    ['@sluice/kinesis', '@aws-sdk/client-kinesis'],
  ],
  ['@sluice/kinesis', ['kafkajs', '@aws-sdk/client-sqs', '@duckdb/node-api'], undefined],
])('%s with %j', (subject, names, expected) => {
  expect(unasked(subject, names)).toEqual(expected ?? names)
})

test('a package without a rule is an error', () => {
  expect(() => unasked('@sluice/new', [])).toThrow('no rule for @sluice/new')
})
