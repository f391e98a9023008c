import type { SinkWriter } from '@sluice/core'
import { describe, expect, test } from 'vitest'
import type { TimestreamSinkOptions } from '../src/options.ts'
import type { FailedWrite } from '../src/policy.ts'
import { type Answer, exception, type FakeRequest, FakeService, STORED } from './fake-service.ts'
import { Harness, ManualClock, until } from './harness.ts'
import { writerOver } from './over.ts'

interface Point {
  readonly host: string
  readonly cpu: number
  readonly version?: number
}

interface Started {
  readonly harness: Harness
  readonly service: FakeService
  readonly writer: SinkWriter<Point>
}

const rejection = (...list: readonly object[]): Answer =>
  exception('RejectedRecordsException', 419, 'One or more records have been rejected.', { RejectedRecords: list })

const conflict = { RecordIndex: 0, Reason: 'A record already exists.', ExistingVersion: 1 }
const older = { RecordIndex: 0, Reason: 'The record version is lower than the existing version.', ExistingVersion: 9 }
const outside = { RecordIndex: 0, Reason: 'The record timestamp is outside the time range of the memory store.' }
const other = { RecordIndex: 0, Reason: 'Too many measures.' }

const late = (name: string, more: object = {}): Answer => ({
  error: Object.assign(new Error('late'), { name, ...more }),
})

const valuesSent = ({ service }: Started): readonly unknown[] =>
  service.requests.map(({ records }) => records.map(({ MeasureValue }) => MeasureValue))

describe.each(['sdk', 'direct'] as const)('over the transport %s', (transport) => {
  function start(
    answer: (request: FakeRequest, index: number) => Answer,
    options: Partial<TimestreamSinkOptions<Point>> = {},
    hasDeadLetters = false,
    harness = new Harness(),
  ): Started {
    const service = new FakeService(answer)
    harness.settlement.delivers = hasDeadLetters
    const given: TimestreamSinkOptions<Point> = {
      databaseName: 'metrics',
      tableName: 'hosts',
      elementConverter: ({ host, cpu, version }) => ({
        Dimensions: [{ Name: 'host', Value: host }],
        MeasureName: 'cpu',
        MeasureValue: cpu,
        Time: 5,
        Version: version,
      }),
      retry: { initialDelayMs: 1, maxDelayMs: 1 },
      ...options,
    }
    return { harness, service, writer: writerOver(transport, service, given, { ...harness.context, hasDeadLetters }) }
  }

  async function write(started: Started, points: readonly Point[], outcomes = points.length): Promise<Harness> {
    const { harness, writer } = started
    await harness.write(writer, points)
    await until('the outcomes', () => harness.settlement.settled.length >= outcomes || harness.failures.length > 0)
    await writer.close(1000)
    return harness
  }

  const point: Point = { host: 'a', cpu: 1 }

  test.for([
    ['conflict', conflict],
    ['olderVersion', older],
    ['outsideRetention', outside],
    ['other', other],
  ] as const)('a rejection for %s goes to the dead letters, or as its own policy says', async ([kind, item]) => {
    const letters = await write(
      start(() => rejection(item), {}, true),
      [point],
    )
    expect(letters.settlement.refusals).toHaveLength(1)
    const ignoring = start(() => rejection(item), { rejectionPolicy: { [kind]: 'ignore' } }, true)
    const ignored = await write(ignoring, [point])
    expect(ignored.settlement.refusals).toEqual([])
    expect(ignored.metric('numRecordsDrop')).toBe(1)
    expect(ignored.metric('numRecordsDuplicate')).toBe(0)
    const failed = await write(
      start(() => rejection(item), { rejectionPolicy: { [kind]: 'fail' } }, true),
      [point],
    )
    expect(failed.failures[0]).toMatchObject({ code: 'SLUICE_RECORD_REFUSED' })
    expect(failed.settlement).toMatchObject({ settled: [], refusals: [] })
  })

  test('the policy of one reason is not that of another', async () => {
    const harness = await write(
      start(() => rejection(conflict), { rejectionPolicy: { olderVersion: 'ignore' } }, true),
      [point],
    )
    expect(harness.settlement.refusals).toHaveLength(1)
    expect(harness.metric('numRecordsDrop')).toBe(0)
  })

  test('a record that breaks a rule is not sent; all its reasons are told at once', async () => {
    const bad = { host: '', cpu: Number.NaN }
    const started = start(() => STORED, {}, true)
    const harness = await write(started, [bad, point])
    expect(harness.settlement.refusals.map(({ token, reason }) => [token, reason.code, reason.message])).toEqual([
      [
        0,
        'InvalidRecord',
        "the value of dimension 'host' must be a non-empty string, got ''; the measure value is NaN or infinite (option: numbers.nonFinite)",
      ],
    ])
    expect(started.service.sizes).toEqual([1])
    expect(harness.metric('numRecordsInvalid')).toBe(1)
    const alone = start(() => STORED, { rejectionPolicy: { invalid: 'ignore' } })
    expect((await write(alone, [bad])).metric('numRecordsDrop')).toBe(1)
    expect(alone.service.sizes).toEqual([])
  })

  test('whatever an invalid record holds, its content can be logged', async () => {
    const circular: Record<string, unknown> = { Dimensions: [], MeasureValue: 5n }
    circular['self'] = circular
    const failureHandlerConfig = { printFailedRequests: true, failProcessingOnValidationException: false }
    for (const record of [circular, { MeasureValue: 5n, MeasureName: 'very-private' }]) {
      const started = start(() => STORED, { failureHandlerConfig, elementConverter: () => record })
      const harness = await write(started, [point])
      expect(harness.metric('numRecordsDrop')).toBe(1)
      expect(harness.lines('break rules of Timestream')).toHaveLength(1)
      expect(JSON.stringify(harness.log).includes('very-private')).toBe(record !== circular)
    }
  })

  test('a failureHandlerConfig decides: what it does not name fails the job, dead letters or not', async () => {
    const rejected = await write(
      start(() => rejection(other), { failureHandlerConfig: {} }, true),
      [point],
    )
    expect(rejected.failures[0]).toMatchObject({ code: 'SLUICE_RECORD_REFUSED' })
    expect(rejected.settlement.refusals).toEqual([])
    const invalid = await write(
      start(() => STORED, { failureHandlerConfig: {} }, true),
      [{ host: '', cpu: 1 }],
    )
    expect(invalid.failures[0]).toMatchObject({ code: 'SLUICE_RECORD_REFUSED' })
  })

  test('the same record twice is sent once, and both are written', async () => {
    const started = start(() => STORED)
    const harness = await write(started, [point, point])
    expect(started.service.sizes).toEqual([1])
    expect(harness.metric('numRecordsOut')).toBe(2)
    const refused = await write(
      start(() => rejection(other), {}, true),
      [point, point],
    )
    expect(refused.settlement.refusals.map(({ token }) => token)).toEqual([0, 1])
  })

  test('a record that a later one overwrites is written with it', async () => {
    const started = start(() => STORED)
    const harness = await write(started, [
      { ...point, version: 1 },
      { ...point, cpu: 2, version: 2 },
    ])
    expect(started.service.requests.map(({ records }) => records.map(({ Version }) => Version))).toEqual([[2]])
    expect(harness.metric('numRecordsOut')).toBe(2)
  })

  test('a record whose overwriting record is not stored is asked for alone', async () => {
    const started = start(({ records }) => (records[0]?.Version === 2 ? rejection(other) : STORED), {}, true)
    const harness = await write(started, [
      { ...point, version: 1 },
      { ...point, cpu: 2, version: 2 },
    ])
    expect(harness.settlement.refusals.map(({ token }) => token)).toEqual([1])
    expect(harness.metric('numRecordsOut')).toBe(1)
  })

  test('what was stored with a record whose overwriting record is not is not sent again', async () => {
    const started = start(({ records }) => (records.length === 2 ? rejection(other) : STORED), {}, true)
    const harness = await write(started, [
      { ...point, version: 1 },
      { ...point, cpu: 2, version: 2 },
      { host: 'b', cpu: 3 },
    ])
    expect(valuesSent(started)).toEqual([['2', '3'], ['1']])
    expect(harness.settlement.refusals.map(({ token }) => token)).toEqual([1])
    expect(harness.metric('numRecordsOut')).toBe(2)
  })

  test('of more values of one key than a batch makes requests each is sent once', async () => {
    const started = start(() => STORED)
    const values = Array.from({ length: 20 }, (_, index) => ({ ...point, cpu: index + 1 }))
    const harness = await write(started, [...values, { host: 'b', cpu: 99 }])
    expect(valuesSent(started)).toEqual([['1', '99'], ...values.slice(1).map(({ cpu }) => [String(cpu)])])
    expect(harness.metric('numRecordsOut')).toBe(21)
  })

  test('what was stored is not sent again when a later request of its batch is refused for one of its records', async () => {
    const started = start(
      ({ records }) =>
        records.some(({ MeasureValue }) => MeasureValue === '666')
          ? exception('ValidationException', 400, 'Invalid record.')
          : STORED,
      {},
      true,
    )
    const harness = await write(started, [
      point,
      { host: 'b', cpu: 3 },
      { host: 'c', cpu: 5 },
      { ...point, cpu: 666 },
      { host: 'b', cpu: 4 },
    ])
    expect(valuesSent(started)).toEqual([['1', '3', '5'], ['666', '4'], ['666', '4'], ['666'], ['4']])
    expect(harness.settlement.refusals.map(({ token, reason }) => [token, reason.code])).toEqual([
      [3, 'ValidationException'],
    ])
    expect(harness.metric('numRecordsOut')).toBe(4)
  })

  test('two values of one key are sent one after the other: the store says what the second is', async () => {
    const started = start((_, index) => (index === 0 ? STORED : rejection(conflict)), {}, true)
    const harness = await write(started, [point, { ...point, cpu: 2 }])
    expect(started.service.sizes).toEqual([1, 1])
    expect(harness.settlement.refusals.map(({ token, reason }) => [token, reason.code])).toEqual([
      [1, 'RejectedVersion'],
    ])
    expect(harness.metric('numRecordsOut')).toBe(1)
    expect(harness.metric('numRecordsDuplicate')).toBe(0)
  })

  test('of values of one key those that were answered keep their outcomes when the request for the next one is throttled', async () => {
    let throttled = true
    const started = start(
      ({ records }) => {
        throttled = !throttled
        if (throttled) return exception('ThrottlingException', 429, 'Slow down.')
        return records[0]?.MeasureValue === '1' ? STORED : rejection(conflict)
      },
      { retry: { initialDelayMs: 1, maxDelayMs: 1, maxAttempts: 3 } },
      true,
    )
    const harness = await write(started, [point, { ...point, cpu: 2 }, { ...point, cpu: 3 }])
    expect(started.service.requests.map(({ records }) => records[0]?.MeasureValue)).toEqual(['1', '2', '2', '3', '3'])
    expect(harness.metric('numRecordsOut')).toBe(1)
    expect(harness.settlement.refusals.map(({ token, reason }) => [token, reason.code])).toEqual([
      [1, 'RejectedVersion'],
      [2, 'RejectedVersion'],
    ])
  })

  test('values of one key whose answers take long are repeated from where they were', async () => {
    const clock = new ManualClock()
    const answerMs = transport === 'sdk' ? 250_000 : 15_000
    const started = start(
      () => {
        clock.advance(answerMs)
        return STORED
      },
      {},
      true,
      new Harness(clock),
    )
    const values = [1, 2, 3, 4, 5].map((cpu) => ({ ...point, cpu }))
    await started.harness.write(started.writer, values)
    await until('the outcomes', () => {
      clock.advance(1)
      return started.harness.settlement.settled.length === values.length
    })
    await started.writer.close(1000)
    expect(started.service.requests.map(({ records }) => records[0]?.MeasureValue)).toEqual(['1', '2', '3', '4', '5'])
    // Two and two and one: a batch begins no request when its time is up.
    expect(started.harness.metric('numRecordsRetried')).toBe(3 + 1)
  })

  const onceEach = { retry: { initialDelayMs: 1, maxDelayMs: 1, maxAttempts: 1 } }

  test('no try is charged to a record that was not sent, nor to those among which a culprit is looked for', async () => {
    const started = start(
      ({ records }) => {
        const values = new Set(records.map(({ MeasureValue }) => MeasureValue))
        if (values.has('666')) return exception('ValidationException', 400, 'Invalid record.')
        return values.has('2') ? exception('ThrottlingException', 429, 'Slow down.') : STORED
      },
      onceEach,
      true,
    )
    const values = Array.from({ length: 20 }, (_, index) => ({ ...point, cpu: index + 1 }))
    const harness = await write(started, [...values, { host: 'b', cpu: 30 }, { host: 'b', cpu: 666 }])
    const refusals = harness.settlement.refusals.map(({ token, reason }) => [token, reason.code])
    expect(refusals.toSorted(([a], [b]) => Number(a) - Number(b))).toEqual([
      [1, 'retriesExhausted'],
      [21, 'ValidationException'],
    ])
    expect(harness.metric('numRecordsOut')).toBe(20)
  })

  test('nor to the values of a key that wait for the first one', async () => {
    const started = start(
      (_, index) => (index === 0 ? exception('ThrottlingException', 429, 'Slow down.') : STORED),
      onceEach,
      true,
    )
    const harness = await write(started, [point, { ...point, cpu: 2 }])
    expect(harness.settlement.refusals.map(({ token }) => token)).toEqual([0])
    expect(valuesSent(started)).toEqual([['1'], ['2']])
  })

  test('nor to a record whose overwriting record is not stored', async () => {
    const started = start(({ records }) => (records[0]?.Version === 2 ? rejection(other) : STORED), onceEach, true)
    const harness = await write(started, [
      { ...point, version: 1 },
      { ...point, cpu: 2, version: 2 },
    ])
    expect(harness.settlement.refusals.map(({ token }) => token)).toEqual([1])
    expect(harness.metric('numRecordsOut')).toBe(1)
  })

  test.for([
    ['no answer', late('ECONNRESET', { code: 'ECONNRESET', isSent: true }), 1, 0],
    ['the magnetic store', exception('ThrottlingException', 429, 'Too many ActiveMagneticStorePartitions'), 0, 1],
    ['the memory store', exception('ThrottlingException', 429, 'Slow down.'), 0, 0],
  ] as const)(
    'a later request of a batch that fails counts as the first one: %s',
    async ([, answer, unknown, slowed]) => {
      for (const failing of [0, 1]) {
        const started = start((_, index) => (index === failing ? answer : STORED))
        const harness = await write(started, [point, { ...point, cpu: 2 }])
        expect(harness.metric('numRequestsUnknown')).toBe(unknown)
        expect(harness.metric('numRequestsThrottled')).toBe(slowed)
        expect(harness.metric('numRecordsOut')).toBe(2)
      }
    },
  )

  test('a record that is not sent keeps its own outcome when the rest of its batch is repeated', async () => {
    const started = start(
      () => exception('ThrottlingException', 429, 'Too many ActiveMagneticStorePartitions'),
      { ...onceEach, rejectionPolicy: { invalid: 'ignore' } },
      true,
    )
    const harness = await write(started, [point, { host: 'b', cpu: Number.NaN }])
    expect(harness.metric('numRecordsDropped')).toBe(1)
    expect(harness.settlement.refusals.map(({ token, reason }) => [token, reason.code])).toEqual([
      [0, 'retriesExhausted'],
    ])
    expect(harness.metric('numRequestsThrottled')).toBe(1)
  })

  test('a record that is overwritten by one whose request is throttled is sent again with it', async () => {
    const started = start(
      (_, index) => (index === 1 ? exception('ThrottlingException', 429, 'Slow down.') : STORED),
      {},
      true,
    )
    const harness = await write(started, [
      { ...point, version: 5 },
      { ...point, cpu: 2, version: 1 },
      { ...point, cpu: 3, version: 2 },
    ])
    expect(started.service.requests.map(({ records }) => records[0]?.Version)).toEqual([5, 2, 2])
    expect(harness.metric('numRecordsOut')).toBe(3)
    expect(harness.settlement.refusals).toEqual([])
  })

  test('overwriteConflicts sends a conflict again above the stored version, and warns', async () => {
    const started = start((_, index) => (index === 0 ? rejection({ ...older, ExistingVersion: 41 }) : STORED), {
      rejectionPolicy: { overwriteConflicts: true },
    })
    const harness = await write(started, [point])
    expect(started.service.requests.map(({ records }) => records[0]?.Version)).toEqual([undefined, 42])
    expect(harness.metric('numRecordsOut')).toBe(1)
    expect(harness.lines('Option: rejectionPolicy.overwriteConflicts')).toHaveLength(1)
  })

  /** A store of one key: it takes a higher version, or what it has. */
  function storing(version: number): (request: FakeRequest) => Answer {
    let stored: { readonly version: number; readonly value?: string | undefined } = { version }
    return ({ records }) => {
      const { Version = 1, MeasureValue: value } = records[0] ?? {}
      if (Version === stored.version && value === stored.value) return STORED
      if (Version <= stored.version) return rejection({ ...conflict, ExistingVersion: stored.version })
      stored = { version: Version, value }
      return STORED
    }
  }

  test('with overwriteConflicts the last of two values of one batch wins', async () => {
    const started = start(storing(1), { rejectionPolicy: { overwriteConflicts: true } })
    const harness = await write(started, [point, { ...point, cpu: 2 }])
    const last = started.service.requests.at(-1)?.records[0]
    expect(last).toMatchObject({ MeasureValue: '2', Version: 3 })
    expect(harness.metric('numRecordsOut')).toBe(2)
  })

  test.for([
    [
      'a higher version',
      [
        { ...point, version: 1 },
        { ...point, cpu: 2, version: 1 },
        { ...point, cpu: 3, version: 5 },
      ],
      { MeasureValue: '3', Version: 5 },
    ],
    ['the first value again', [point, { ...point, cpu: 2 }, point], { MeasureValue: '1', Version: 3 }],
  ] as const)('with overwriteConflicts no value of a batch overwrites a later one: %s', async ([, points, stored]) => {
    const started = start(storing(0), { rejectionPolicy: { overwriteConflicts: true } })
    const harness = await write(started, points)
    const taken = started.service.requests.at(-1)?.records[0]
    expect(taken).toMatchObject(stored)
    expect(harness.metric('numRecordsOut')).toBe(3)
    expect(harness.settlement.refusals).toEqual([])
  })

  test('a conflict that goes on is final after three raises', async () => {
    const started = start(
      ({ records }) => rejection({ ...conflict, ExistingVersion: records[0]?.Version ?? 1 }),
      { rejectionPolicy: { overwriteConflicts: true } },
      true,
    )
    const harness = await write(started, [point])
    expect(started.service.sizes).toEqual([1, 1, 1, 1])
    expect(harness.settlement.refusals).toHaveLength(1)
  })

  test.for([
    ['retry', 0, 0, 2],
    ['ignore', 0, 2, 1],
    ['deadLetter', 2, 0, 1],
  ] as const)('a handler of the user decides: %s', async ([decision, refused, dropped, requests]) => {
    const seen: FailedWrite[] = []
    const started = start(
      (_, index) => (index === 0 ? exception('AccessDeniedException', 403, 'no') : STORED),
      {
        failureHandlerConfig: {
          failureHandlerClass: {
            onWriteError: (failed) => {
              seen.push(failed)
              return decision
            },
          },
        },
      },
      true,
    )
    const harness = await write(started, [point, { host: 'b', cpu: 2 }])
    expect(seen).toHaveLength(1)
    expect(seen[0]).toMatchObject({ databaseName: 'metrics', tableName: 'hosts' })
    expect(seen[0]?.failure).toMatchObject({ action: 'denied', code: 'AccessDeniedException' })
    expect(seen[0]?.records).toHaveLength(2)
    expect(harness.settlement.refusals).toHaveLength(refused)
    expect(harness.metric('numRecordsDrop')).toBe(dropped)
    expect(started.service.requests).toHaveLength(requests)
  })

  test('a handler is asked about the rejected records only; the others are written', async () => {
    const seen: FailedWrite[] = []
    const onWriteError = (failed: FailedWrite): 'ignore' => {
      seen.push(failed)
      return 'ignore'
    }
    const started = start(() => rejection({ ...other, RecordIndex: 1 }), {
      failureHandlerConfig: { failureHandlerClass: { onWriteError } },
    })
    const harness = await write(started, [point, { host: 'b', cpu: 2 }])
    expect(seen[0]?.records).toMatchObject([{ Dimensions: [{ Name: 'host', Value: 'b' }] }])
    expect(harness.metric('numRecordsOut')).toBe(1)
    expect(harness.metric('numRecordsDrop')).toBe(1)
    expect(harness.metric('numWritesSuccess')).toBe(1)
  })

  test.for(['ignore', 'deadLetter', 'fail'] as const)(
    'what a handler of the user has decided is logged with the reasons of the service: %s',
    async (decision) => {
      const failureHandlerConfig = { failureHandlerClass: { onWriteError: () => decision }, printFailedRequests: true }
      const started = start(() => rejection({ ...other, RecordIndex: 1 }), { failureHandlerConfig }, true)
      const harness = await write(started, [point, { host: 'b', cpu: 2 }], 1)
      const [line] = harness.lines('Option: failureHandlerConfig.failureHandlerClass.')
      expect(line?.fields).toMatchObject({ rejected: 1, reasons: ['Too many measures.'], requestRecords: 2 })
      expect(line?.fields['content']).toEqual([expect.stringContaining('"Value":"b"')])
      expect(harness.lines('writeClientConfig')).toEqual([])
    },
  )

  test.for([
    [rejection(other), 'failProcessingOnRejectedRecordsException'],
    [exception('ValidationException', 400, 'no'), 'failProcessingOnValidationException'],
  ] as const)('what a handler has repeated names the option that decides without it: %j', async ([answer, option]) => {
    const failureHandlerConfig = { failureHandlerClass: { onWriteError: () => 'retry' as const } }
    const started = start((_, index) => (index === 0 ? answer : STORED), { failureHandlerConfig })
    const harness = await write(started, [point])
    expect(harness.lines('will be retried. Details:')).toHaveLength(1)
    expect(harness.lines(`Option: failureHandlerConfig.${option}.`)).toHaveLength(1)
  })

  test('the last try of a record is no repeat', async () => {
    const started = start(
      () => exception('ThrottlingException', 429, 'Rate exceeded.'),
      { retry: { initialDelayMs: 1, maxDelayMs: 1, maxAttempts: 3 } },
      true,
    )
    const harness = await write(started, [point])
    expect(started.service.sizes).toEqual([1, 1, 1])
    expect(harness.settlement.refusals.map(({ reason }) => reason.code)).toEqual(['retriesExhausted'])
    expect(harness.metric('numWritesNonSDKRetries')).toBe(2)
    expect(harness.lines('Records insertion will be retried.')).toHaveLength(2)
    expect(
      harness.lines("'ThrottlingException' occurred while inserting to Timestream. Status Code: 429"),
    ).toHaveLength(1)
  })

  test.for([
    ['TimeoutError', late('TimeoutError')],
    ['ETIMEDOUT', late('Error', { code: 'ETIMEDOUT' })],
    ['ESOCKETTIMEDOUT', late('Error', { code: 'ESOCKETTIMEDOUT' })],
  ] as const)('with failOnTimeout a request without an answer in time ends the attempt: %s', async ([code, answer]) => {
    const started = start((_, index) => (index === 0 ? answer : STORED), { failOnTimeout: true }, true)
    const harness = await write(started, [point])
    expect(harness.failures).toEqual([expect.objectContaining({ code: 'SLUICE_DEADLINE_EXCEEDED', restartable: true })])
    expect(harness.failures[0]?.message).toContain(code)
    expect(harness.failures[0]?.message).toContain('failOnTimeout')
    expect(harness.settlement).toMatchObject({ settled: [], refusals: [] })
    expect(started.service.sizes).toEqual([1])
    const repeated = await write(
      start((_, index) => (index === 0 ? answer : STORED), {}, true),
      [point],
    )
    expect(repeated.metric('numRecordsOut')).toBe(1)
  })

  test.for([
    ['a reset', late('Error', { code: 'ECONNRESET' })],
    ['no connection', late('Error', { code: 'ECONNREFUSED' })],
    ['throttling', exception('ThrottlingException', 429, 'Rate exceeded.')],
  ] as const)('with failOnTimeout a request is repeated after %s', async ([, answer]) => {
    const started = start((_, index) => (index === 0 ? answer : STORED), { failOnTimeout: true })
    const harness = await write(started, [point])
    expect(harness.failures).toEqual([])
    expect(harness.metric('numRecordsOut')).toBe(1)
  })

  test.for<readonly [string, () => string]>([
    ['fail', () => 'fail'],
    ['an unknown decision', () => 'perhaps'],
    [
      'a throw',
      () => {
        throw new Error('handler')
      },
    ],
  ])('a handler that says %s fails the job', async ([, onWriteError]) => {
    const harness = await write(
      start(() => exception('InternalServerException', 500, 'x'), {
        failureHandlerConfig: { failureHandlerClass: { onWriteError: onWriteError as never } },
      }),
      [point],
    )
    expect(harness.failures).toHaveLength(1)
    expect(harness.settlement).toMatchObject({ settled: [], refusals: [] })
  })

  test('calls and billed units are counted', async () => {
    const started = start((_, index) => (index === 0 ? exception('ThrottlingException', 429, 'x') : STORED))
    const harness = await write(started, [{ host: 'h'.repeat(1500), cpu: 1 }, point])
    expect(harness.metric('numApiCalls')).toBe(2)
    // 1504 + 5 for the hosts, the value 8 each; name 3 and time 8 in common.
    expect(harness.metric('numBilledUnits')).toBe(4)
  })
})

test('a table that is asked for again is told with what the service said', async () => {
  const harness = new Harness()
  const service = new FakeService(({ operation }, index) => {
    if (operation === 'WriteRecords') return STORED
    if (index === 0) return exception('ThrottlingException', 429, 'Rate exceeded.')
    return { status: 200, body: { Table: { TableStatus: 'ACTIVE' } } }
  })
  const options: TimestreamSinkOptions<Point> = {
    databaseName: 'metrics',
    tableName: 'hosts',
    elementConverter: () => ({
      Dimensions: [{ Name: 'host', Value: 'a' }],
      MeasureName: 'cpu',
      MeasureValue: 1,
      Time: new Date(),
    }),
    checkRetention: true,
    retry: { initialDelayMs: 1, maxDelayMs: 1 },
  }
  const writer = writerOver('sdk', service, options, harness.context)
  await harness.write(writer, [{ host: 'a', cpu: 1 }])
  await until('the record is written', () => harness.settlement.settled.length === 1)
  await writer.close(1000)
  const [line] = harness.lines('asking Timestream for the table')
  expect(line?.message).toContain('Status Code: 429, Request ID: request-1, Message: Rate exceeded.')
  expect(line?.fields).toMatchObject({
    code: 'ThrottlingException',
    httpStatus: 429,
    requestId: 'request-1',
    attempt: 1,
  })
})
