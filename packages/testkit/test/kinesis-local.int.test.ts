import { spawnSync } from 'node:child_process'

import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
  PutRecordCommand,
} from '@aws-sdk/client-kinesis'
import { expect, test } from 'vitest'

import { requireOrSkip, startFaultProxy, startKinesisLocal, type KinesisLocal, type RequestInfo } from '../src/index.ts'
import { isRunning } from './processes.ts'

const noSs = spawnSync('ss', ['-V']).error !== undefined

const isPut = ({ headers }: RequestInfo): boolean => headers['x-amz-target'] === 'Kinesis_20131202.PutRecord'

async function storedRecords(kinesis: KinesisLocal, shardId: string | undefined): Promise<string[]> {
  const client = kinesis.client()
  const { ShardIterator: iterator } = await client.send(
    new GetShardIteratorCommand({ StreamName: 'orders', ShardId: shardId, ShardIteratorType: 'TRIM_HORIZON' }),
  )
  const { Records: records = [] } = await client.send(new GetRecordsCommand({ ShardIterator: iterator }))
  return records.map(({ Data }) => Buffer.from(Data ?? []).toString())
}

test('stores and gives back a record', async () => {
  await using kinesis = await startKinesisLocal()
  await kinesis.createStream('orders', 2)
  const client = kinesis.client()
  const { Shards: shards = [] } = await client.send(new ListShardsCommand({ StreamName: 'orders' }))
  expect(shards).toHaveLength(2)
  const put = await client.send(
    new PutRecordCommand({ StreamName: 'orders', PartitionKey: 'a', Data: Buffer.from('hello') }),
  )
  expect(await storedRecords(kinesis, put.ShardId)).toEqual(['hello'])
})

test('behind the fault proxy, a put that was cut after apply is repeated by the SDK and stored twice', async () => {
  await using kinesis = await startKinesisLocal()
  await using proxy = await startFaultProxy({ target: { host: '127.0.0.1', port: kinesis.port } })
  await kinesis.createStream('orders', 1)
  proxy.faults.add({ kind: 'cutBeforeApply', times: 1, match: isPut })
  proxy.faults.add({ kind: 'cutAfterApply', times: 1, match: isPut })
  const put = await kinesis
    .client(proxy.endpoint)
    .send(new PutRecordCommand({ StreamName: 'orders', PartitionKey: 'a', Data: Buffer.from('hello') }))
  expect(await storedRecords(kinesis, put.ShardId)).toEqual(['hello', 'hello'])
  expect(proxy.counters()).toMatchObject({ requests: 3, forwarded: 2, passed: 1, responsesCut: 1 })
  expect(proxy.problems).toEqual([])
})

test.skipIf(requireOrSkip('ss', !noSs, 'the command ss is not there'))('listens on 127.0.0.1 alone', async () => {
  await using kinesis = await startKinesisLocal()
  const listening = spawnSync('ss', ['-Hltnp'], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((line) => line.includes(`pid=${kinesis.pid},`))
    .map((line) => line.split(/\s+/)[3] ?? '')
  expect(listening).toHaveLength(2)
  expect(listening).toContain(`127.0.0.1:${kinesis.port}`)
  expect(listening.filter((address) => !address.startsWith('127.0.0.1:'))).toEqual([])
})

test('a taken port is one clear error', async () => {
  await using kinesis = await startKinesisLocal()
  await expect(startKinesisLocal({ port: kinesis.port })).rejects.toThrow(
    `kinesis-local cannot listen on 127.0.0.1:${kinesis.port}: EADDRINUSE`,
  )
})

test('a server that is late is an error that says what was awaited', async () => {
  await expect(startKinesisLocal({ readyDeadlineMs: 1 })).rejects.toThrow(/waited 1 ms for kinesis-local to listen/)
})

test('close ends the process and may be repeated', async () => {
  const kinesis = await startKinesisLocal()
  expect(isRunning(kinesis.pid)).toBe(true)
  await kinesis.close()
  await kinesis.close()
  expect(isRunning(kinesis.pid)).toBe(false)
})
