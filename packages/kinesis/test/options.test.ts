import { SluiceError } from '@sluice/core'
import { describe, expect, test } from 'vitest'

import { KinesisSource } from '../src/index.ts'

function problemsOf(options: unknown): unknown {
  try {
    return `the options were taken: ${String(Reflect.construct(KinesisSource, [options]))}`
  } catch (error) {
    return SluiceError.isInstance(error) && error.code === 'SLUICE_OPTIONS_INVALID' ? error.facts['problems'] : error
  }
}

describe('options of KinesisSource', () => {
  test('names every problem at once', () => {
    const problems = problemsOf({
      streamName: 'a b',
      uid: '',
      deserialize: 'json',
      initialPosition: 'EARLIEST',
      shardDiscoveryIntervalMs: 10,
      maxRecordsPerFetch: 10_001,
      emptyFetchIntervalMs: 0,
      fetchIntervalMs: -1,
      maxFetchedBytes: 1024,
      requestTimeoutMs: 0,
      shards: { index: 2, count: 2 },
      client: {},
      aws: { region: 'x y' },
      maxRecordPerFetch: 1,
    })
    for (const name of [
      'streamName',
      'uid',
      'deserialize',
      'initialPosition',
      'shardDiscoveryIntervalMs',
      'maxRecordsPerFetch',
      'emptyFetchIntervalMs',
      'fetchIntervalMs',
      'maxFetchedBytes',
      'requestTimeoutMs',
      'shards',
      'client',
      'aws.region',
    ]) {
      expect(problems).toContainEqual(expect.stringMatching(`^${name} must be`))
    }
    expect(problems).toContain('only one of client and aws may be given')
    expect(problems).toContain("unknown option 'maxRecordPerFetch'; did you mean 'maxRecordsPerFetch'?")
    expect(problems).toHaveLength(15)
  })

  test('a misspelt name inside aws or shards is a problem with its path', () => {
    const bad = { streamName: 'a', aws: { regoin: 'eu-west-1' }, shards: { index: 0, count: 2, cuont: 3 } }
    expect(() => new KinesisSource(bad as never)).toThrow(/unknown option 'aws\.regoin'; did you mean 'aws\.region'\?/)
    expect(() => new KinesisSource(bad as never)).toThrow(/unknown option 'shards\.cuont'/)
  })

  test.each([
    ['no stream', {}],
    ['two streams', { streamName: 'a', streamArn: 'arn:aws:kinesis:eu-west-1:123456789012:stream/a' }],
  ])('%s: exactly one is needed', (_, options) => {
    expect(problemsOf(options)).toEqual(['exactly one of streamName and streamArn is needed'])
  })

  test.each([null, undefined, 'orders', []])('%j are no options', (options) => {
    expect(problemsOf(options)).toEqual([expect.stringContaining('options must be an object')])
  })

  test.each([
    { atTimestamp: Number.NaN },
    { atTimestamp: new Date('yesterday') },
    { atTimestamp: '2026-01-01' },
    null,
    5,
  ])('the initial position %j is refused', (initialPosition) => {
    expect(problemsOf({ streamName: 'a', initialPosition })).toHaveLength(1)
  })

  test('the uid is made of the name, or of the name in the ARN', () => {
    expect(new KinesisSource({ streamName: 'orders' }).uid).toBe('kinesis:orders')
    expect(new KinesisSource({ streamArn: 'arn:aws:kinesis:eu-west-1:123456789012:stream/o.r' }).uid).toBe(
      'kinesis:o.r',
    )
    expect(new KinesisSource({ streamName: 'orders', uid: 'mine' }).uid).toBe('mine')
  })
})
