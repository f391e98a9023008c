import { SluiceError, type SinkWriter } from '@sluice/core'
import { describe, expect, test } from 'vitest'
import type { TimestreamSinkOptions } from '../src/options.ts'
import type { TimestreamRecord } from '../src/record/record.ts'
import { writerOver } from './over.ts'
import { Harness, ManualClock, until } from './harness.ts'
import { type Answer, exception, STORED, FakeService } from './fake-service.ts'

interface Point {
  readonly host: string
  readonly cpu: number
}

function toRecord({ host, cpu }: Point): TimestreamRecord {
  return {
    Dimensions: [{ Name: 'host', Value: host }],
    MeasureName: 'cpu',
    MeasureValue: String(cpu),
    Time: '1700000000000',
  }
}

const points = (count: number): Point[] => Array.from({ length: count }, (_, i) => ({ host: `h${i}`, cpu: i }))

interface Started {
  readonly harness: Harness
  readonly service: FakeService
  readonly writer: SinkWriter<Point>
}

const settled = ({ harness }: Started, count: number): Promise<void> =>
  until(`${count} settled`, () => harness.settlement.settled.length >= count)

const inOrder = (tokens: readonly number[]): number[] => [...tokens].sort((a, b) => a - b)

const rejection = (list: readonly unknown[]): Answer =>
  exception('RejectedRecordsException', 419, 'One or more records have been rejected.', { RejectedRecords: list })

const invalidAt =
  (host: string) =>
  (hosts: readonly string[]): Answer =>
    hosts.includes(host) ? exception('ValidationException', 400, 'Invalid time for record.') : STORED

const discoveryDenied = {
  error: Object.assign(new Error('no endpoint'), {
    reason: Object.assign(new Error('no'), { name: 'AccessDeniedException', $metadata: { httpStatusCode: 403 } }),
  }),
}

const named = (name: string): Error => Object.assign(new Error('no credentials'), { name })

describe.each(['sdk', 'direct'] as const)('over the transport %s', (transport) => {
  function start(
    answer: (hosts: readonly string[], index: number) => Answer | Promise<Answer>,
    options: Partial<TimestreamSinkOptions<Point>> = {},
    harness = new Harness(),
  ): Started {
    const service = new FakeService(({ records }, index) =>
      answer(
        records.map(({ Dimensions }) => Dimensions?.[0]?.Value ?? ''),
        index,
      ),
    )
    const given = {
      databaseName: 'metrics',
      tableName: 'hosts',
      elementConverter: toRecord,
      retry: { initialDelayMs: 1, maxDelayMs: 1 },
      ...options,
    }
    return { harness, service, writer: writerOver(transport, service, given, harness.context) }
  }

  test('sends full batches, then the rest, and confirms every record', async () => {
    const started = start(() => STORED, { maxBatchSize: 80, maxInFlightRequests: 1 })
    await started.harness.write(started.writer, points(200))
    await settled(started, 200)
    expect(started.service.sizes).toEqual([80, 80, 40])
    expect(started.service.requests[0]?.body).toMatchObject({ DatabaseName: 'metrics', TableName: 'hosts' })
    expect(started.service.requests.flatMap(({ body }) => body.Records?.map((r) => r.MeasureValue))).toEqual(
      points(200).map(({ cpu }) => String(cpu)),
    )
    expect(started.harness.metric('numRecordsOut')).toBe(200)
    expect(started.harness.metric('numRecordsSuccess')).toBe(200)
    expect(started.harness.metric('numWritesSuccess')).toBe(3)
    expect(started.harness.metric('numOfRecordsPerWriteRecordRequest')).toBe(40)
  })

  test('a record waits for its batch until it is maxTimeInBufferMS old', async () => {
    const clock = new ManualClock()
    const started = start(() => STORED, { maxTimeInBufferMS: 200 }, new Harness(clock))
    const batch = { values: points(1), tokens: Float64Array.of(0), byteLengths: new Uint32Array(1) }
    started.writer.write(batch, 0, 1)
    clock.advance(199)
    expect(started.service.requests).toHaveLength(0)
    expect(started.writer.status().inHand).toBe(1)
    clock.advance(1)
    await settled(started, 1)
  })

  test('a value may become none or many records', async () => {
    const started = start(() => STORED, {
      elementConverter: (point) =>
        point.cpu === 0 ? undefined : point.cpu === 1 ? [] : [toRecord(point), toRecord({ ...point, host: 'second' })],
    })
    await started.harness.write(started.writer, points(3))
    await settled(started, 2)
    expect([...started.harness.settlement.multiplied]).toEqual([
      [0, 0],
      [1, 0],
      [2, 2],
    ])
    expect(started.service.sizes).toEqual([2])
  })

  test('what is not a record refuses the value at conversion, and only this one', async () => {
    const started = start(() => STORED, {
      elementConverter: (point) => (point.cpu === 1 ? (Promise.resolve(toRecord(point)) as never) : toRecord(point)),
    })
    started.harness.settlement.delivers = true
    await started.harness.write(started.writer, points(3))
    await settled(started, 3)
    const [refusal] = started.harness.settlement.refusals
    expect(refusal).toMatchObject({ token: 1, stage: 'convert' })
    expect(refusal?.reason.message).toContain('got a promise')
    expect(started.service.sizes).toEqual([2])
  })

  const conflict = { RecordIndex: 1, Reason: 'A record already exists.', ExistingVersion: 7 }

  test('rejected records are refused with the reason of the service; the others are written', async () => {
    const started = start(() => rejection([conflict, { RecordIndex: 3, Reason: 'The record timestamp is outside.' }]))
    await started.harness.write(started.writer, points(5))
    await settled(started, 3)
    await until('refusals', () => started.harness.settlement.refusals.length === 2)
    expect(inOrder(started.harness.settlement.settled)).toEqual([0, 2, 4])
    expect(started.harness.settlement.refusals.map(({ token, stage, reason }) => ({ token, stage, reason }))).toEqual([
      {
        token: 1,
        stage: 'store',
        reason: {
          code: 'RejectedVersion',
          message: 'A record already exists. ExistingVersion: 7.',
          requestId: 'request-1',
        },
      },
      {
        token: 3,
        stage: 'store',
        reason: { code: 'RejectedRecord', message: 'The record timestamp is outside.', requestId: 'request-1' },
      },
    ])
    expect(started.harness.metric('numRecordsSuccess')).toBe(3)
    expect(started.harness.metric('numRecordsDuplicate')).toBe(0)
    expect(started.harness.metric('numOfRejectedRecordsException')).toBe(1)
    expect(started.harness.metric('numWritesSuccess')).toBe(1)
    expect(started.harness.metric('numWritesNonSDKRetries')).toBe(0)
    expect(started.service.requests).toHaveLength(1)
  })

  test('rejected records are dropped and counted if the policy says so', async () => {
    const started = start(() => rejection([conflict]), {
      failureHandlerConfig: { failProcessingOnRejectedRecordsException: false },
    })
    await started.harness.write(started.writer, points(2))
    await settled(started, 2)
    expect(started.harness.settlement.refusals).toEqual([])
    expect(started.harness.metric('numRecordsDrop')).toBe(1)
    expect(started.harness.metric('numRecordsSuccess')).toBe(1)
  })

  test.for([
    ['no list', undefined],
    ['an empty list', []],
    ['an index out of range', [{ RecordIndex: 4, Reason: 'r' }]],
    ['a negative index', [{ RecordIndex: -1, Reason: 'r' }]],
    ['no index', [{ Reason: 'r' }]],
    ['an index twice', [conflict, conflict]],
    ['an item that is null', [null]],
  ] as const)('rejections with %s never count as written: each record is asked for alone', async ([, list]) => {
    const started = start((hosts) => {
      if (hosts.length > 2) return list === undefined ? rejection(undefined as never) : rejection(list)
      if (!hosts.includes('h1')) return STORED
      return hosts.length === 1 ? rejection([{ RecordIndex: 0, Reason: 'r' }]) : rejection([])
    })
    await started.harness.write(started.writer, points(4))
    await settled(started, 3)
    await until('the refusal', () => started.harness.settlement.refusals.length === 1)
    expect(inOrder(started.harness.settlement.settled)).toEqual([0, 2, 3])
    expect(started.service.sizes).toEqual([4, 2, 1, 1, 2])
    expect(started.harness.settlement.refusals[0]?.token).toBe(1)
  })

  test('a success without a count is none: no record of it is settled', async () => {
    const started = start(() => ({ status: 200, body: {} }))
    await started.harness.write(started.writer, points(2))
    await until('the refusals', () => started.harness.settlement.refusals.length === 2)
    expect(started.harness.settlement.settled).toEqual([])
    expect(started.harness.settlement.refusals[0]?.reason.code).toBe('answerMalformed')
    expect(started.service.sizes).toEqual([2, 1, 1])
  })

  test('a single record whose rejection has no index is refused', async () => {
    const started = start(() => rejection([]))
    await started.harness.write(started.writer, points(1))
    await until('the refusal', () => started.harness.settlement.refusals.length === 1)
    expect(started.harness.settlement.settled).toEqual([])
  })

  test('the record for which a request is refused is found; the other 99 are written', async () => {
    const started = start(invalidAt('h42'))
    await started.harness.write(started.writer, points(100))
    await settled(started, 99)
    await until('the refusal', () => started.harness.settlement.refusals.length === 1)
    expect(started.harness.settlement.refusals[0]).toMatchObject({
      token: 42,
      reason: { code: 'ValidationException', message: 'Invalid time for record.' },
    })
    expect(started.harness.settlement.settled).not.toContain(42)
    expect(started.service.requests.length).toBeLessThanOrEqual(15)
    expect(started.harness.failures).toEqual([])
  })

  test('with failProcessingOnValidationException false only the culprit is dropped', async () => {
    const started = start(invalidAt('h42'), { failureHandlerConfig: { failProcessingOnValidationException: false } })
    await started.harness.write(started.writer, points(100))
    await settled(started, 100)
    expect(started.harness.settlement.refusals).toEqual([])
    expect(started.harness.metric('numRecordsDrop')).toBe(1)
    expect(started.harness.metric('numRecordsSuccess')).toBe(99)
  })

  test('a throttled request is repeated whole, without slowing down for the memory store', async () => {
    const started = start((_, index) =>
      index === 0 ? exception('ThrottlingException', 429, 'Rate exceeded.') : STORED,
    )
    await started.harness.write(started.writer, points(3))
    await settled(started, 3)
    expect(started.service.sizes).toEqual([3, 3])
    expect(started.service.requests[1]?.body).toEqual(started.service.requests[0]?.body)
    expect(started.harness.metric('numOfThrottlingException')).toBe(1)
    expect(started.harness.metric('numWritesNonSDKRetries')).toBe(1)
    expect(started.harness.metric('numRequestsThrottled')).toBe(0)
    expect(started.harness.metric('numRequestsUnknown')).toBe(0)
    const [line] = started.harness.lines('Retryable')
    expect(line?.message).toMatch(
      /^Retryable 'ThrottlingException' occurred while inserting to Timestream\. Records insertion will be retried\./,
    )
    expect(line?.message).toContain(transport === 'sdk' ? 'Option: writeClientConfig.maxErrorRetry.' : 'Option: retry.')
    expect(line?.message).not.toContain('\n')
  })

  test('throttling of the magnetic store lowers the requests in flight', async () => {
    const message = 'Reduce ActiveMagneticStorePartitions.'
    const started = start((_, index) => (index === 0 ? exception('ThrottlingException', 429, message) : STORED))
    await started.harness.write(started.writer, points(1))
    await settled(started, 1)
    expect(started.harness.metric('numRequestsThrottled')).toBe(1)
    expect(started.harness.lines('Option: maxInFlightRequests.')).toHaveLength(1)
  })

  test.for([
    ['InternalServerException', exception('InternalServerException', 500, 'x'), 'numOfInternalServerException', 0],
    ['a gateway', { status: 503, body: {} }, 'numOfUNKNOWN', 0],
    ['a connection reset', { error: Object.assign(new Error('reset'), { code: 'ECONNRESET' }) }, 'numOfUNKNOWN', 1],
    ['no connection', { error: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) }, 'numOfUNKNOWN', 0],
    ['a timeout', { error: Object.assign(new Error('late'), { name: 'TimeoutError' }) }, 'numOfUNKNOWN', 1],
  ] as const satisfies readonly (readonly [string, Answer, string, number])[])(
    'after %s the request is repeated',
    async ([, answer, metric, unknown]) => {
      const started = start((_, index) => (index === 0 ? answer : STORED))
      await started.harness.write(started.writer, points(2))
      await settled(started, 2)
      expect(started.service.sizes).toEqual([2, 2])
      expect(started.harness.metric(metric)).toBe(1)
      expect(started.harness.metric('numRequestsUnknown')).toBe(unknown)
    },
  )

  test.for([
    ['AccessDeniedException', 403, 'SLUICE_ACCESS_DENIED', 'timestream:WriteRecords'],
    ['UnrecognizedClientException', 403, 'SLUICE_ACCESS_DENIED', 'invalid-token'],
    ['ResourceNotFoundException', 404, 'SLUICE_DESTINATION_NOT_FOUND', "no table 'hosts' in database 'metrics'"],
    ['ServiceQuotaExceededException', 402, 'SLUICE_SINK_FAILED', 'ServiceQuotaExceededException'],
    ['ConflictException', 409, 'SLUICE_SINK_FAILED', 'ConflictException'],
  ] as const)('%s ends the attempt and is not charged to a record', async ([type, status, code, text]) => {
    const started = start(() => exception(type, status, 'invalid-token'))
    await started.harness.write(started.writer, points(2))
    await until('the failure', () => started.harness.failures.length > 0)
    expect(started.harness.failures[0]).toMatchObject({ code, facts: { database: 'metrics', table: 'hosts' } })
    expect(started.harness.failures[0]?.message).toContain(text)
    expect(started.harness.settlement).toMatchObject({ settled: [], refusals: [] })
    expect(started.writer.status().inHand).toBe(2)
    await started.writer.close(0)
  })

  test('with failProcessingOnErrorDefault false the records of the request are dropped and counted', async () => {
    const started = start(() => exception('AccessDeniedException', 403, 'no'), {
      failureHandlerConfig: { failProcessingOnErrorDefault: false },
    })
    await started.harness.write(started.writer, points(2))
    await settled(started, 2)
    expect(started.harness.failures).toEqual([])
    expect(started.harness.metric('numRecordsDrop')).toBe(2)
    expect(started.harness.lines('failProcessingOnErrorDefault')).toHaveLength(1)
  })

  /** A client whose credentials fail while `error` gives one. */
  function startWithCredentials(
    error: (call: number) => Error | undefined,
    options: Partial<TimestreamSinkOptions<Point>> = {},
    harness = new Harness(),
  ): Started & { readonly calls: () => number } {
    let calls = 0
    const started = start(() => STORED, options, harness)
    const { credentials } = started.service.client.config
    started.service.client.config.credentials = async () => {
      const failed = error(++calls)
      if (failed !== undefined) throw failed
      return credentials()
    }
    return { ...started, calls: () => calls }
  }

  /** Nothing may be dropped, whatever the policy says. */
  const dropsErrors = { failureHandlerConfig: { failProcessingOnErrorDefault: false } }

  test.for([
    ['CredentialsProviderError', {}],
    ['ProviderError', {}],
    ['TokenProviderError', {}],
    ['CredentialsProviderError', dropsErrors],
    ['ProviderError', dropsErrors],
  ] as const)('a passing %s is repeated, whatever the policy: %j', async ([name, options]) => {
    const started = startWithCredentials((call) => (call <= 2 ? named(name) : undefined), options)
    await started.harness.write(started.writer, points(100))
    await settled(started, 100)
    expect(started.harness.failures).toEqual([])
    expect(started.harness.metric('numRecordsOut')).toBe(100)
    expect(started.harness.metric('numRecordsDrop')).toBe(0)
    expect(started.harness.metric('numRequestsUnknown')).toBe(0)
    expect(started.harness.metric('numRequestsThrottled')).toBe(0)
    expect(started.harness.lines('Option: credentialsProviderType.')).toHaveLength(2)
  })

  test.for([
    [
      'an expired token',
      exception('ExpiredTokenException', 403, 'The security token included in the request is expired'),
    ],
    ['a clock that is off', exception('InvalidSignatureException', 403, 'Signature expired: a is now earlier than b')],
    ['a clock that is far off', exception('RequestTimeTooSkewed', 403, 'too large')],
  ] as const)('%s is repeated, whatever the policy', async ([, answer]) => {
    const started = start((_, index) => (index < 2 ? answer : STORED), dropsErrors)
    await started.harness.write(started.writer, points(2))
    await settled(started, 2)
    expect(started.service.sizes).toEqual([2, 2, 2])
    expect(started.harness.metric('numRecordsOut')).toBe(2)
  })

  test('credentials that fail for a minute end the attempt, restartable; none of their records is charged or sent again', async () => {
    const clock = new ManualClock()
    const started = startWithCredentials(() => named('ProviderError'), dropsErrors, new Harness(clock))
    const tries = (count: number): Promise<void> => until(`${count} tries`, () => started.calls() >= count)
    await started.harness.write(started.writer, points(1))
    await until('the repeat', () => started.harness.lines('Retryable').length === 1)
    clock.advance(59_999)
    await tries(2)
    await until('the repeat', () => started.harness.lines('Retryable').length === 2)
    expect(started.harness.failures).toEqual([])
    clock.advance(10_000)
    await tries(3)
    await until('the failure', () => started.harness.failures.length > 0)
    expect(started.harness.failures[0]).toMatchObject({ code: 'SLUICE_ACCESS_DENIED', restartable: true })
    expect(started.harness.failures[0]?.message).toContain('credentialsProviderType')
    expect(started.harness.settlement).toMatchObject({ settled: [], refusals: [] })
    expect(started.writer.status().inHand).toBe(1)
    clock.advance(3_600_000)
    started.writer.hasten()
    await started.writer.close(0)
    expect(started.harness.metric('numRequests')).toBe(3)
  })

  test('a request that is stored begins the minute anew', async () => {
    const clock = new ManualClock()
    const expired = exception('ExpiredTokenException', 403, 'expired')
    const started = start((_, index) => (index % 2 === 0 ? expired : STORED), {}, new Harness(clock))
    for (let round = 1; round <= 3; round++) {
      await started.harness.write(started.writer, points(1))
      await until('the repeat', () => started.harness.lines('Retryable').length === round)
      clock.advance(40_000)
      await settled(started, round)
    }
    expect(started.harness.failures).toEqual([])
  })

  test('the last try of an entry ends the attempt instead of refusing the entry for its credentials', async () => {
    const started = startWithCredentials(() => named('ProviderError'), {
      retry: { initialDelayMs: 1, maxDelayMs: 1, maxAttempts: 2 },
    })
    await started.harness.write(started.writer, points(2))
    await until('the failure', () => started.harness.failures.length > 0)
    await started.writer.close(0)
    expect(started.harness.failures[0]).toMatchObject({ code: 'SLUICE_ACCESS_DENIED', restartable: true })
    expect(started.harness.settlement).toMatchObject({ settled: [], refusals: [] })
    expect(started.calls()).toBe(2)
  })

  test('the last try of an entry ends the attempt instead of refusing the entry for its endpoint', async () => {
    const started = start(() => exception('InvalidEndpointException', 421, 'moved'), {
      retry: { initialDelayMs: 1, maxDelayMs: 1, maxAttempts: 2 },
    })
    await started.harness.write(started.writer, points(2))
    await until('the failure', () => started.harness.failures.length > 0)
    await started.writer.close(0)
    expect(started.harness.failures[0]).toMatchObject({ code: 'SLUICE_SINK_FAILED', restartable: true })
    expect(started.harness.settlement).toMatchObject({ settled: [], refusals: [] })
  })

  test.for([
    ['keys that are not accepted', exception('UnrecognizedClientException', 403, 'invalid'), 'SLUICE_ACCESS_DENIED'],
    ['endpoints that are all refused', exception('InvalidEndpointException', 421, 'moved'), 'SLUICE_SINK_FAILED'],
    ['an error before the request', { error: new Error('Region is missing') }, 'SLUICE_OPTIONS_INVALID'],
    ['a discovery that is denied', discoveryDenied, 'SLUICE_ACCESS_DENIED'],
    ['an error of our own', { error: new SluiceError('SLUICE_ACCESS_DENIED', 'no keys') }, 'SLUICE_ACCESS_DENIED'],
  ] as const satisfies readonly (readonly [string, Answer, string])[])(
    'with failProcessingOnErrorDefault false, %s drop no record',
    async ([, answer, code]) => {
      const started = start(() => answer, dropsErrors)
      await started.harness.write(started.writer, points(2))
      await until('the failure', () => started.harness.failures.length > 0)
      await started.writer.close(0)
      expect(started.harness.failures[0]?.code).toBe(code)
      expect(started.harness.metric('numRecordsDrop')).toBe(0)
      expect(started.harness.settlement).toMatchObject({ settled: [], refusals: [] })
      expect(started.harness.lines('failProcessingOnErrorDefault')).toEqual([])
    },
  )

  test('the default converter is used as is, another one must keep the records aligned', async () => {
    const started = start(() => STORED, {
      batchConverter: (records) => ({
        DatabaseName: undefined,
        TableName: 'other',
        CommonAttributes: { Dimensions: [{ Name: 'region', Value: 'eu' }], TimeUnit: 'MILLISECONDS' },
        Records: [...records],
      }),
    })
    await started.harness.write(started.writer, points(2))
    await settled(started, 2)
    expect(started.service.requests[0]?.body).toMatchObject({ DatabaseName: 'metrics', TableName: 'other' })
    expect(started.harness.metric('numOfCommonAttributesDimensionsPerWriteRecordRequest')).toBe(1)
    expect(started.harness.metric('numOfMeasuresPerWriteRecordRequest')).toBe(2)
  })

  test.for([
    ['fewer', (records: readonly TimestreamRecord[]) => ({ Records: records.slice(1) }), 'it returned 1 records'],
    ['more', (records: readonly TimestreamRecord[]) => ({ Records: [...records, {}] }), 'it returned 3 records'],
    ['no', () => undefined, 'it returned no list of records'],
    [
      'the given list with fewer',
      (records: TimestreamRecord[]) => {
        records.splice(0, 1)
        return { Records: records }
      },
      'for each of its 2 records, in their order; it returned 1 records',
    ],
    [
      'the given list with more',
      (records: TimestreamRecord[]) => {
        records.push({ ...records[0] })
        return { Records: records }
      },
      'it returned 3 records',
    ],
    [
      'what it has moved out of the given list',
      (records: TimestreamRecord[]) => ({ Records: records.splice(0, 1) }),
      'it returned 1 records',
    ],
  ] as const)(
    'a converter that returns %s records fails the job before anything is sent',
    async ([, converter, text]) => {
      const started = start(() => STORED, { batchConverter: converter as never })
      await started.harness.write(started.writer, points(2))
      await until('the failure', () => started.harness.failures.length > 0)
      expect(started.harness.failures[0]?.code).toBe('SLUICE_BATCH_CONVERTER_NOT_ALIGNED')
      expect(started.harness.failures[0]?.message).toContain(text)
      expect(started.service.requests).toEqual([])
      expect(started.harness.settlement.settled).toEqual([])
      await started.writer.close(0)
    },
  )

  test('a batch converter may use its request again: what is sent is what it said then', async () => {
    const { promise: answered, resolve } = Promise.withResolvers<Answer>()
    const request = { TableName: 'hosts', Records: [] as TimestreamRecord[] }
    const started = start((_, index) => (index === 0 ? answered : STORED), {
      maxBatchSize: 2,
      batchConverter: (records) => {
        request.Records.length = 0
        request.Records.push(...(records as TimestreamRecord[]))
        return request as never
      },
    })
    const { credentials } = started.service.client.config
    started.service.client.config.credentials = async () => {
      await new Promise(setImmediate)
      return credentials()
    }
    await started.harness.write(started.writer, points(6))
    resolve(STORED)
    await settled(started, 6)
    const sent = started.service.requests.flatMap(({ records }) => records.map(({ MeasureValue }) => MeasureValue))
    expect(new Set(sent)).toEqual(new Set(points(6).map(({ cpu }) => String(cpu))))
    expect(sent).toHaveLength(6)
  })

  test('a record on which the batch converter throws is found and refused', async () => {
    const started = start(() => STORED, {
      batchConverter: (records) => {
        if (records.some(({ MeasureValue }) => MeasureValue === '2')) throw new Error('cannot')
        return { DatabaseName: 'metrics', TableName: 'hosts', Records: [...records] }
      },
    })
    await started.harness.write(started.writer, points(4))
    await settled(started, 3)
    await until('the refusal', () => started.harness.settlement.refusals.length === 1)
    expect(started.harness.settlement.refusals[0]).toMatchObject({
      token: 2,
      reason: { code: 'batchConverterThrew', message: 'cannot' },
    })
  })

  test('record content is logged only on request', async () => {
    const secret = [{ host: 'very-private', cpu: 1 }]
    for (const printFailedRequests of [false, true]) {
      const started = start(() => exception('ValidationException', 400, 'no'), {
        failureHandlerConfig: { printFailedRequests },
        elementConverter: (point) => ({ ...toRecord(point), Version: 9_007_199_254_740_993n as never }),
      })
      await started.harness.write(started.writer, secret)
      await until('the refusal', () => started.harness.settlement.refusals.length === 1)
      const logged = JSON.stringify(started.harness.log)
      expect(logged.includes('very-private')).toBe(printFailedRequests)
      expect(logged.includes('9007199254740993')).toBe(printFailedRequests)
    }
  })

  test('every counter of the list exists from the start, with 0', () => {
    const { harness } = start(() => STORED)
    const names = [
      'UNKNOWN',
      'UNKNOWNEXCEPTION',
      'ThrottlingException',
      'InternalServerException',
      'ValidationException',
      'InvalidEndpointException',
      'AccessDeniedException',
      'ConflictException',
      'ResourceNotFoundException',
      'RejectedRecordsException',
      'ServiceQuotaExceededException',
    ].map((name) => `numOf${name}`)
    const counters = [
      'numRecordsSuccess',
      'numRecordsDrop',
      'numWritesSuccess',
      'numWritesNonSDKRetries',
      'numBytesOut',
    ]
    for (const name of [...names, ...counters, 'inFlightRequests', 'bufferedRecords']) {
      expect([name, harness.metric(name)]).toEqual([name, 0])
    }
  })

  test('bytes are counted as Timestream meters them, and the time between requests is measured', async () => {
    const clock = new ManualClock()
    const started = start(() => STORED, { maxBatchSize: 1 }, new Harness(clock))
    await started.harness.write(started.writer, [{ host: 'é', cpu: 1 }])
    await settled(started, 1)
    // host 4 + é 2 + cpu 3 + DOUBLE 8 + time 8
    expect(started.harness.metric('numBytesOut')).toBe(25)
    expect(started.harness.metric('millisTimeBetweenFlushes')).toBeUndefined()
    clock.advance(70)
    await started.harness.write(started.writer, points(1))
    await settled(started, 2)
    expect(started.harness.metric('millisTimeBetweenFlushes')).toBe(70)
  })

  test('close gives up requests in flight without counting them as written, and leaves an injected client alone', async () => {
    const { promise: answered, resolve } = Promise.withResolvers<Answer>()
    const started = start(() => answered)
    await started.harness.write(started.writer, points(2))
    await until('the request', () => started.service.requests.length === 1)
    await started.writer.close(5000)
    await started.writer.close(5000)
    resolve(STORED)
    expect(started.writer.status()).toMatchObject({ accepted: 2, written: 0, abandoned: 2, inHand: 0 })
    expect(started.harness.settlement.settled).toEqual([])
    expect(started.service.destroyed).toBe(0)
    expect(started.harness.lines('Retryable')).toEqual([])
  })
})
