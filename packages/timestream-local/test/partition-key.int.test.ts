import {
  CreateTableCommand,
  DescribeTableCommand,
  UpdateTableCommand,
  type Schema,
} from '@aws-sdk/client-timestream-write'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bench, DB, record, TABLE, type Bench } from './support.ts'

const required: Schema = {
  CompositePartitionKey: [{ Type: 'DIMENSION', Name: 'host', EnforcementInRecord: 'REQUIRED' }],
}
const optional: Schema = {
  CompositePartitionKey: [{ Type: 'DIMENSION', Name: 'host', EnforcementInRecord: 'OPTIONAL' }],
}

let local: Bench
beforeAll(async () => {
  local = await bench()
  await local.createTable({ Schema: required })
})
afterAll(async () => {
  await local[Symbol.asyncDispose]()
})

it('a required partition key rejects records without its dimension, until it is optional', async () => {
  const without = record({ Dimensions: [{ Name: 'disk', Value: 'a' }] })
  expect(await local.write([record(), without])).toEqual({
    rejected: [
      { RecordIndex: 1, Reason: expect.stringMatching(/no dimension 'host', which the partition key/) as string },
    ],
  })
  const name = { DatabaseName: DB, TableName: TABLE }
  await local.writer.send(new UpdateTableCommand({ ...name, Schema: optional }))
  expect((await local.writer.send(new DescribeTableCommand(name))).Table?.Schema).toEqual(optional)
  expect(await local.write([without])).toMatchObject({ ingested: { Total: 1 } })
  for (const Schema of [
    { CompositePartitionKey: [{ Type: 'DIMENSION', Name: 'disk' }] },
    { CompositePartitionKey: [{ Type: 'MEASURE' }] },
  ]) {
    const update = new UpdateTableCommand({ ...name, Schema: Schema as Schema })
    await expect(local.writer.send(update)).rejects.toThrow(/cannot be changed/)
  }
})

it.each([
  ['two keys', [{ Type: 'MEASURE' }, { Type: 'MEASURE' }], /has 2/],
  ['none', [], /has 0/],
  ['an unknown type', [{ Type: 'COLOUR' }], /enum value set: \[DIMENSION, MEASURE\]/],
  ['a dimension without a name', [{ Type: 'DIMENSION' }], /must have the Name/],
  ['a measure with a name', [{ Type: 'MEASURE', Name: 'x' }], /neither Name/],
  [
    'an unknown enforcement',
    [{ Type: 'DIMENSION', Name: 'x', EnforcementInRecord: 'MAYBE' }],
    /\[REQUIRED, OPTIONAL\]/,
  ],
])('a schema with %s is refused', async (_, keys, message) => {
  const Schema = { CompositePartitionKey: keys } as Schema
  const create = new CreateTableCommand({ DatabaseName: DB, TableName: 'other', Schema })
  await expect(local.writer.send(create)).rejects.toMatchObject({
    name: 'ValidationException',
    message: expect.stringMatching(message) as string,
  })
})
