import type { SinkWriter } from '@sluice/core'
import { describe, expect, test } from 'vitest'
import type { TimestreamSinkOptions } from '../src/options.ts'
import type { FailedWrite, FailureDecision } from '../src/policy.ts'
import { type Answer, exception, type FakeRequest, FakeService, STORED } from './fake-service.ts'
import { Harness, until } from './harness.ts'
import { writerOver } from './over.ts'

interface Point {
  readonly host: string
  readonly cpu: number
}

interface Started {
  readonly harness: Harness
  readonly service: FakeService
  readonly writer: SinkWriter<Point>
}

const rejection = (...list: readonly object[]): Answer =>
  exception('RejectedRecordsException', 419, 'One or more records have been rejected.', { RejectedRecords: list })

const MAX_VERSION = 9_223_372_036_854_775_807n

describe.each(['sdk', 'direct'] as const)('over the transport %s', (transport) => {
  function start(
    answer: (request: FakeRequest, index: number) => Answer | Promise<Answer>,
    options: Partial<TimestreamSinkOptions<Point>> = {},
    harness = new Harness(),
  ): Started {
    const service = new FakeService(answer)
    harness.settlement.delivers = true
    const given: TimestreamSinkOptions<Point> = {
      databaseName: 'metrics',
      tableName: 'hosts',
      elementConverter: ({ host, cpu }) => ({
        Dimensions: [{ Name: 'host', Value: host }],
        MeasureName: 'cpu',
        MeasureValue: cpu,
        Time: 5,
      }),
      retry: { initialDelayMs: 1, maxDelayMs: 1 },
      ...options,
    }
    const context = { ...harness.context, hasDeadLetters: true }
    return { harness, service, writer: writerOver(transport, service, given, context) }
  }

  const point: Point = { host: 'a', cpu: 1 }

  test('a handler that ignores what fails does not drop what a close interrupts', async () => {
    const asked: string[] = []
    const onWriteError = ({ failure }: { failure: { code: string } }): 'ignore' => {
      asked.push(failure.code)
      return 'ignore'
    }
    const started = start(() => new Promise<never>(() => undefined), {
      failureHandlerConfig: { failureHandlerClass: { onWriteError } },
    })
    await started.harness.write(started.writer, [point, { host: 'b', cpu: 2 }])
    await until('the request', () => started.service.requests.length === 1)
    await started.writer.close(5000)
    expect(started.harness.settlement.settled).toEqual([])
    expect(started.writer.status()).toMatchObject({ dropped: 0, abandoned: 2 })
    expect(asked).toEqual([])
    expect(started.harness.metric('numOfUNKNOWN')).toBe(0)
  })

  test('the version that a batchConverter sends decides whether a rejection is a conflict', async () => {
    const started = start(() => rejection({ RecordIndex: 0, Reason: 'x', ExistingVersion: 5 }), {
      batchConverter: (records) => ({
        DatabaseName: 'metrics',
        TableName: 'hosts',
        CommonAttributes: { Version: 5 },
        Records: [...records],
      }),
      rejectionPolicy: { olderVersion: 'ignore' },
    })
    await started.harness.write(started.writer, [point])
    await until('the outcome', () => started.harness.settlement.settled.length === 1)
    expect(started.harness.metric('numRecordsDrop')).toBe(0)
    expect(started.harness.settlement.refusals).toHaveLength(1)
  })

  test('a record that is not sent counts once, however often the rest of its batch is repeated', async () => {
    const started = start((_, index) => (index < 3 ? exception('ThrottlingException', 429, 'x') : STORED))
    await started.harness.write(started.writer, [{ host: '', cpu: 0 }, point])
    await until('the outcomes', () => started.harness.settlement.settled.length === 2)
    expect(started.harness.metric('numRecordsInvalid')).toBe(1)
    expect(started.harness.lines('break rules of Timestream')).toHaveLength(1)
  })

  test('there is no version above the highest: the conflict is final at once', async () => {
    const started = start(() => rejection({ RecordIndex: 0, Reason: 'x', ExistingVersion: String(MAX_VERSION) }), {
      rejectionPolicy: { overwriteConflicts: true },
    })
    await started.harness.write(started.writer, [point])
    await until('the outcome', () => started.harness.settlement.settled.length === 1)
    expect(started.service.requests).toHaveLength(1)
  })

  test('a success that counts fewer records than were sent is none: each is sent alone, which says enough', async () => {
    // As a service would answer that does not count repeats of what it has.
    const started = start(({ records }) => {
      const known = records.filter(({ Dimensions }) => Dimensions?.[0]?.Value === 'known').length
      return { status: 200, body: { RecordsIngested: { Total: records.length - known } } }
    })
    await started.harness.write(started.writer, [point, { host: 'known', cpu: 1 }, { host: 'b', cpu: 1 }])
    await until('the outcomes', () => started.harness.settlement.settled.length === 3)
    expect(started.service.sizes).toEqual([3, 2, 1, 1, 1])
    expect(started.harness.metric('numRecordsOut')).toBe(3)
    expect(started.harness.settlement.refusals).toEqual([])
  })

  test.for([
    ['ignore', { dropped: 2, refused: 0, failures: 0 }],
    ['deadLetter', { dropped: 0, refused: 2, failures: 0 }],
    ['default', { dropped: 0, refused: 0, failures: 1 }],
    ['retry', { dropped: 0, refused: 0, failures: 1 }],
    ['fail', { dropped: 0, refused: 0, failures: 1 }],
    ['nothing known', { dropped: 0, refused: 0, failures: 1 }],
  ] as const)('a handler decides about records that are not sent, once: %s', async ([decision, expected]) => {
    const seen: FailedWrite[] = []
    const onWriteError = (failed: FailedWrite): FailureDecision => {
      seen.push(failed)
      return failed.failure.action === 'retry' ? 'default' : (decision as FailureDecision)
    }
    const started = start((_, index) => (index < 2 ? exception('ThrottlingException', 429, 'x') : STORED), {
      failureHandlerConfig: { failureHandlerClass: { onWriteError } },
    })
    const { harness } = started
    await harness.write(started.writer, [{ host: '', cpu: 0 }, point, { host: 'b', cpu: Number.NaN }])
    await until('the end', () => harness.settlement.settled.length === 3 || harness.failures.length > 0)
    await started.writer.close(1000)
    const { length: failures } = harness.failures
    const { length: refused } = harness.settlement.refusals
    expect({ dropped: harness.metric('numRecordsDrop'), refused, failures }).toEqual(expected)
    const told = seen.filter(({ failure }) => failure.beforeRequest)
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({
      databaseName: 'metrics',
      tableName: 'hosts',
      error: { code: 'SLUICE_RECORD_REFUSED' },
    })
    expect(told[0]?.failure).toMatchObject({ action: 'invalid', code: 'ValidationException' })
    expect(told[0]?.failure.message).toContain('NaN')
    expect(told[0]?.records).toHaveLength(2)
  })

  test('what failed before the service was asked to write is no call', async () => {
    const reason = Object.assign(new Error('x'), {
      name: 'InternalServerException',
      $metadata: { httpStatusCode: 500 },
    })
    const started = start((_, index) =>
      index === 0 ? { error: Object.assign(new Error('no endpoint'), { reason }) } : STORED,
    )
    await started.harness.write(started.writer, [point])
    await until('the outcome', () => started.harness.settlement.settled.length === 1)
    expect(started.harness.metric('numApiCalls')).toBe(1)
    expect(started.harness.metric('numOfInternalServerException')).toBe(1)
  })
})
