import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SeriesLike } from '../src/options-sink.ts'
import type { Harness } from './harness.ts'
import type { Receiver } from './receiver.ts'
import { linesOf, record, records, T, WriterStand } from './writer-stand.ts'

const FAIL = { errorHandlingBehaviorConfiguration: { onPrometheusNonRetriableError: 'FAIL' } } as const

let stand: WriterStand
let receiver: Receiver
let harness: Harness

beforeEach(async () => {
  stand = await WriterStand.start()
  receiver = stand.receiver
  harness = stand.harness
})

afterEach(async () => {
  await stand[Symbol.asyncDispose]()
})

describe('requests', () => {
  test('have the headers of the protocol, the body in snappy, and the values as they are', async () => {
    await stand.write(
      [
        { metricName: 'cpu', labels: { zone: 'z', Host: 'a' }, samples: [{ value: -0.5, timestamp: T }] },
        record('b', 7, Number.POSITIVE_INFINITY),
      ],
      { orderedLanes: 1, headers: { 'X-Extra': 'yes' }, tenant: 'team' },
    )
    const [request] = receiver.received
    expect(receiver.received).toHaveLength(1)
    expect(request?.headers).toMatchObject({
      'content-encoding': 'snappy',
      'content-type': 'application/x-protobuf',
      'x-prometheus-remote-write-version': '0.1.0',
      'x-extra': 'yes',
      'x-scope-orgid': 'team',
    })
    expect(request?.headers['user-agent']).toMatch(/^Sluice-Prometheus\/\d+\.\d+\.\d+/)
    expect(request === undefined ? [] : linesOf(request)).toStrictEqual([
      `cpu{Host=a,zone=z} -0.5 @${T}`,
      `up{host=b} Infinity @${T + 7}`,
    ])
  })

  test('hold at most maxBatchSizeInSamples samples, and a larger series is sent in parts, in order', async () => {
    const samples = Array.from({ length: 25 }, (_, index) => ({ value: index, timestamp: T + index }))
    await stand.write([{ metricName: 'big', samples }, ...records('a', 'b')], {
      maxBatchSizeInSamples: 10,
      orderedLanes: 1,
    })
    const sent = receiver.received.map(linesOf)
    expect(sent.map(({ length }) => length)).toStrictEqual([10, 10, 7])
    const big = sent.flat().filter((line) => line.startsWith('big'))
    expect(big).toStrictEqual(samples.map(({ value, timestamp }) => `big{} ${value} @${timestamp}`))
    expect(harness.metric('numSamplesOut')).toBe(27)
    expect(harness.metric('numWriteRequestsOut')).toBe(3)
  })

  test('keep the order of a series over lanes and repeats', async () => {
    let count = 0
    receiver.decide = () => ({ status: ++count % 3 === 0 ? 503 : 204 })
    const values = Array.from({ length: 300 }, (_, index) => record(`h${index % 7}`, index))
    await stand.write(values, {
      maxBatchSizeInSamples: 10,
      retryConfiguration: { initialRetryDelayMS: 1, maxRetryDelayMS: 2, maxRetryCount: Infinity },
    })
    for (let host = 0; host < 7; host++) {
      const times = receiver.received
        .filter((_, number) => (number + 1) % 3 !== 0)
        .flatMap(linesOf)
        .filter((line) => line.includes(`host=h${host}}`))
        .map((line) => Number(line.split('@')[1]))
      expect(times).toStrictEqual(times.toSorted((a, b) => a - b))
    }
    expect(harness.metric('numSamplesOut')).toBe(300)
    expect(harness.metric('numRecordsOut')).toBe(300)
  })

  test('of each tenant are its own', async () => {
    await stand.write(records('a', 'b', 'a'), { tenant, tenantHeader: 'X-Tenant', orderedLanes: 1 })
    const seen = receiver.received.map((each) => `${String(each.headers['x-tenant'])} ${linesOf(each).length}`)
    expect(new Set(seen)).toStrictEqual(new Set(['one 2', 'two 1']))
  })
})

describe('retries', () => {
  test.each([429, 500, 502, 503, 504])('status %i is repeated with the same bytes', async (status) => {
    receiver.script({ status }, { status })
    await stand.write(records('a', 'b'), { orderedLanes: 1 })
    const [first, second, third] = receiver.received.map(({ body }) => body.toString('hex'))
    expect(receiver.received).toHaveLength(3)
    expect([second, third]).toStrictEqual([first, first])
    expect(harness.metric('numWriteRequestsRetries')).toBe(2)
    expect(harness.metric('numSamplesOut')).toBe(2)
    expect(harness.metric('numWriteRequestsPermanentlyFailed')).toBe(0)
  })

  test('each is signed anew, and the signature is of what is sent', async () => {
    receiver.script({ status: 503 }, 'cut', { status: 429 })
    let count = 0
    await stand.write(records('a'), {
      requestSigner: (headers, body, url) => {
        headers['authorization'] = `${++count} ${url.pathname} ${Buffer.from(body).toString('hex')}`
      },
    })
    const body = receiver.received[0]?.body.toString('hex')
    expect(receiver.received.map(({ headers }) => headers.authorization)).toStrictEqual(
      [1, 2, 3, 4].map((number) => `${number} /api/v1/write ${body}`),
    )
  })

  test('a request without an answer is repeated, and counted as unknown', async () => {
    receiver.script('cut', 'silent')
    await stand.write(records('a'), { socketTimeoutMs: 100 })
    expect(receiver.received).toHaveLength(3)
    expect(harness.metric('numRequestsUnknown')).toBe(2)
  })

  test('after maxRetryCount repeats the attempt ends, restartable, and no record is charged', async () => {
    receiver.decide = () => ({ status: 503, text: 'overloaded' })
    await stand.write(records('a', 'b'), { orderedLanes: 1 })
    expect(receiver.received).toHaveLength(6)
    const [failure] = harness.failures
    expect(failure).toMatchObject({ code: 'SLUICE_SINK_FAILED', restartable: true, facts: { tries: 6 } })
    expect(failure?.message).toContain('onMaxRetryExceeded is FAIL')
    expect(failure?.message).toContain('overloaded')
    expect(stand.writer.status()).toMatchObject({ inHand: 2, dropped: 0 })
    expect(harness.metric('numWriteRequestsPermanentlyFailed')).toBe(1)
    expect(harness.metric('numSamplesDropped')).toBe(0)
  })

  test('maxRetryCount 0 tries once', async () => {
    receiver.decide = () => ({ status: 429 })
    await stand.write(records('a'), { retryConfiguration: { maxRetryCount: 0 } })
    expect(receiver.received).toHaveLength(1)
    expect(harness.failures).toHaveLength(1)
    expect(harness.metric('numWriteRequestsRetries')).toBe(0)
  })

  test('onMaxRetryExceeded DISCARD_AND_CONTINUE drops, counts and logs', async () => {
    stand.refusing('a', { status: 503 })
    await stand.write(records('a', 'a'), {
      errorHandlingBehaviorConfiguration: { onMaxRetryExceeded: 'DISCARD_AND_CONTINUE' },
    })
    await stand.write(records('b'))
    expect(harness.failures).toStrictEqual([])
    expect(stand.writer.status()).toMatchObject({ dropped: 2, written: 1, inHand: 0 })
    expect(harness.metric('numSamplesRetryLimitDropped')).toBe(2)
    expect(harness.metric('numSamplesDropped')).toBe(2)
    expect(harness.metric('numSamplesNonRetriableDropped')).toBe(0)
    expect(harness.metric('numWriteRequestsPermanentlyFailed')).toBe(1)
    expect(harness.lines('2 series with 2 samples were dropped')).toHaveLength(1)
  })

  test('onHttpClientIOFail counts for requests without an answer', async () => {
    receiver.decide = () => 'cut'
    await stand.write(records('a'), {
      errorHandlingBehaviourConfiguration: { onHttpClientIOFail: 'DISCARD_AND_CONTINUE' },
    })
    expect(stand.writer.status()).toMatchObject({ dropped: 1 })
    expect(harness.metric('numSamplesDropped')).toBe(1)
    expect(harness.metric('numSamplesRetryLimitDropped')).toBe(0)
  })

  test.each(['1.0', 'auto'] as const)(
    'failOnTimeout ends the attempt at the first without an answer in time, %s',
    async (protocol) => {
      receiver.decide = () => 'silent'
      await stand.write(records('a'), {
        protocol,
        failOnTimeout: true,
        socketTimeoutMs: 100,
        errorHandlingBehaviorConfiguration: { onHttpClientIOFail: 'DISCARD_AND_CONTINUE' },
      })
      expect(harness.failures).toMatchObject([{ code: 'SLUICE_DEADLINE_EXCEEDED', restartable: true }])
      expect(harness.failures[0]?.message).toContain('within 100 ms (socketTimeoutMs)')
      expect(receiver.received).toHaveLength(1)
      expect(stand.writer.status()).toMatchObject({ inHand: 1, dropped: 0 })
      expect(harness.metric('numWriteRequestsPermanentlyFailed')).toBe(1)
    },
  )

  test('failOnTimeout says nothing of a connection that is cut', async () => {
    receiver.script('cut')
    await stand.write(records('a'), { failOnTimeout: true })
    expect(harness.failures).toStrictEqual([])
    expect(stand.writer.status()).toMatchObject({ written: 1 })
  })

  test('a try that ends with its whole time counts as one without an answer', async () => {
    let tries = 0
    await stand.write(records('a'), {
      requestSigner: () => {
        tries++
        return new Promise(() => undefined)
      },
      connectTimeoutMs: 5,
      socketTimeoutMs: 5,
      requestTimeoutMs: 30,
      retryConfiguration: { initialRetryDelayMS: 1, maxRetryDelayMS: 2, maxRetryCount: 2 },
    })
    expect(harness.failures).toMatchObject([{ code: 'SLUICE_SINK_FAILED', restartable: true }])
    expect(harness.failures[0]?.message).toContain('3 tries')
    expect(tries).toBe(3)
    expect(stand.writer.status()).toMatchObject({ inHand: 1 })
  })

  test('a signer that fails is repeated, then ends the attempt, whatever the policies', async () => {
    await stand.write(records('a'), {
      requestSigner: () => {
        throw new Error('no credentials')
      },
      errorHandlingBehaviorConfiguration: {
        onHttpClientIOFail: 'DISCARD_AND_CONTINUE',
        onMaxRetryExceeded: 'DISCARD_AND_CONTINUE',
      },
    })
    expect(receiver.received).toHaveLength(0)
    expect(harness.failures).toMatchObject([{ code: 'SLUICE_ACCESS_DENIED', restartable: true }])
    expect(stand.writer.status()).toMatchObject({ inHand: 1 })
  })
})

describe('refused requests', () => {
  test('the culprit is dropped and counted, and the others are written', async () => {
    stand.refusing('dh')
    await stand.write(records('abcdefghij'), { orderedLanes: 1 })
    const written = receiver.received.filter((each) => !/host=[dh]/.test(linesOf(each).join()))
    expect(written.flatMap(linesOf)).toHaveLength(8)
    expect(stand.writer.status()).toMatchObject({ written: 8, dropped: 2 })
    expect(harness.metric('numSamplesNonRetriableDropped')).toBe(2)
    expect(harness.metric('numSamplesNonRetryableDropped')).toBe(2)
    expect(harness.metric('numSamplesDropped')).toBe(2)
    expect(harness.metric('numWriteRequestsPermanentlyFailed')).toBe(2)
    expect(harness.lines('which is looked for by sending halves')).toHaveLength(1)
    expect(harness.lines('1 series with 1 samples were dropped: status 400: out of bounds')).toHaveLength(2)
    expect(JSON.stringify(harness.log)).not.toContain('host')
  })

  test('FAIL makes it a refusal', async () => {
    harness.settlement.delivers = true
    stand.refusing('c')
    await stand.write(records('abcd'), { orderedLanes: 1, ...FAIL })
    expect(stand.writer.status()).toMatchObject({ written: 3, deadLettered: 1, dropped: 0 })
    expect(harness.settlement.refusals).toMatchObject([{ token: 2, stage: 'store', reason: { code: 'http400' } }])
    expect(harness.metric('numSamplesDropped')).toBe(0)
    expect(harness.metric('numWriteRequestsPermanentlyFailed')).toBe(1)
  })

  test('no more than maxIsolationRequests are spent, and what is left follows the policy', async () => {
    stand.refusing('abcdefghijklmnop')
    await stand.write(records('abcdefghijklmnop'), { orderedLanes: 1, maxIsolationRequests: 6 })
    expect(receiver.received.length).toBeLessThanOrEqual(7)
    expect(stand.writer.status()).toMatchObject({ dropped: 16, written: 0, inHand: 0 })
    expect(harness.metric('numSamplesNonRetriableDropped')).toBe(16)
  })

  test('413 halves without a budget, down to the samples of a series', async () => {
    receiver.decide = (request) => ({ status: linesOf(request).length > 2 ? 413 : 204 })
    const samples = Array.from({ length: 8 }, (_, index) => ({ value: index, timestamp: T + index }))
    await stand.write([...records('a', 'b', 'c'), { metricName: 'big', samples }], {
      orderedLanes: 1,
      maxIsolationRequests: 1,
    })
    expect(stand.writer.status()).toMatchObject({ written: 4, dropped: 0 })
    expect(harness.metric('numSamplesOut')).toBe(11)
    const stored = receiver.received.filter((each) => linesOf(each).length <= 2).flatMap(linesOf)
    expect(stored.filter((line) => line.startsWith('big'))).toStrictEqual(
      samples.map(({ value, timestamp }) => `big{} ${value} @${timestamp}`),
    )
  })

  test('413 for a single sample follows the policy', async () => {
    stand.refusing('a', { status: 413 })
    await stand.write(records('a', 'b'), { orderedLanes: 1 })
    expect(stand.writer.status()).toMatchObject({ written: 1, dropped: 1 })
  })

  test.each([
    [401, 'SLUICE_ACCESS_DENIED'],
    [403, 'SLUICE_ACCESS_DENIED'],
    [404, 'SLUICE_DESTINATION_NOT_FOUND'],
    [415, 'SLUICE_SINK_FAILED'],
    [304, 'SLUICE_SINK_FAILED'],
  ])('status %i ends the attempt with %s and charges no record', async (status, code) => {
    receiver.decide = () => ({ status })
    await stand.write(records('a', 'b'), { orderedLanes: 1 })
    expect(harness.failures).toMatchObject([{ code }])
    expect(stand.writer.status()).toMatchObject({ inHand: 2, dropped: 0 })
    expect(receiver.received).toHaveLength(1)
    expect(harness.metric('numWriteRequestsPermanentlyFailed')).toBe(1)
  })
})

function tenant(value: SeriesLike): string {
  return JSON.stringify(value).includes('"a"') ? 'one' : 'two'
}
