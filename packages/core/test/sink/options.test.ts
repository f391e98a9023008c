import { describe, expect, test } from 'vitest'

import { OptionsCheck } from '../../src/options.ts'
import { type AsyncSinkOptions, checkSinkOptions, resolveSinkOptions } from '../../src/sink/options.ts'

const REQUIRED = { maxBatchSize: 4, maxInFlightRequests: 1, maxBufferedRequests: 5, maxTimeInBufferMS: 100 }

function problemsOf(options: object): readonly string[] {
  const check = new OptionsCheck('Test', {}, [])
  checkSinkOptions(check, options as AsyncSinkOptions)
  return check.problems
}

describe('sink options', () => {
  test('the defaults are those that the documentation names', () => {
    expect(resolveSinkOptions(REQUIRED)).toEqual({
      ...REQUIRED,
      maxBatchSizeInBytes: Number.POSITIVE_INFINITY,
      maxRecordSizeInBytes: Number.POSITIVE_INFINITY,
      maxBatchWeight: Number.POSITIVE_INFINITY,
      maxBufferedBytes: 67_108_864,
      requestTimeoutMs: 60_000,
      maxIsolationRequests: 200,
      failOnTimeout: false,
      entryTimeoutMs: Number.POSITIVE_INFINITY,
      orderedLanes: 1,
      rateLimitingStrategy: expect.objectContaining({ name: 'congestionControl' }) as object,
      retry: {
        initialDelayMs: 100,
        maxDelayMs: 10_000,
        maxAttempts: Number.POSITIVE_INFINITY,
        maxElapsedMs: Number.POSITIVE_INFINITY,
      },
    })
  })

  test('an option that is undefined has its default, nested ones too', () => {
    const given = {
      ...REQUIRED,
      maxBufferedBytes: undefined,
      requestTimeoutMs: undefined,
      retry: { maxDelayMs: undefined, maxAttempts: 3 },
    }
    expect(resolveSinkOptions(given as unknown as AsyncSinkOptions)).toEqual({
      ...resolveSinkOptions(REQUIRED),
      retry: { initialDelayMs: 100, maxDelayMs: 10_000, maxAttempts: 3, maxElapsedMs: Number.POSITIVE_INFINITY },
    })
  })

  test('the least and the greatest values pass', () => {
    const options = { maxBatchSize: 1, maxInFlightRequests: 1, maxBufferedRequests: 2, maxTimeInBufferMS: 1 }
    const retry = { initialDelayMs: 5, maxDelayMs: 5, maxAttempts: 1 }
    const sizes = { maxBatchSizeInBytes: 7, maxRecordSizeInBytes: 7, maxBatchWeight: Number.POSITIVE_INFINITY }
    expect(problemsOf({ ...options, ...sizes, requestTimeoutMs: 2_147_483_647, retry })).toEqual([])
  })

  test.each([
    [{ maxBatchSize: 0 }, 'maxBatchSize must be an integer from 1 up, got 0 (number)'],
    [{ maxBatchSize: undefined }, 'maxBatchSize must be an integer from 1 up, got undefined'],
    [{ maxInFlightRequests: 1.5 }, 'maxInFlightRequests must be an integer from 1 up, got 1.5 (number)'],
    [{ maxBufferedRequests: 4 }, 'maxBufferedRequests must be greater than maxBatchSize, got 4 and 4'],
    [{ maxTimeInBufferMS: '100' }, "maxTimeInBufferMS must be an integer from 1 up, got '100' (string)"],
    [{ maxBufferedBytes: Number.NaN }, 'maxBufferedBytes must be an integer from 1 up, got NaN (number)'],
    [{ maxIsolationRequests: -1 }, 'maxIsolationRequests must be an integer from 1 up, got -1 (number)'],
    [
      { requestTimeoutMs: Number.POSITIVE_INFINITY },
      'requestTimeoutMs must be an integer from 1 to 2147483647, got Infinity (number)',
    ],
    [
      { maxBatchSizeInBytes: 9, maxRecordSizeInBytes: 10 },
      'maxBatchSizeInBytes must be at least maxRecordSizeInBytes, got 9 and 10',
    ],
    [{ retry: { initialDelayMs: 0 } }, 'retry: initialDelayMs must be an integer from 1 up, got 0 (number)'],
    [
      { retry: { initialDelayMs: 20_000 } },
      'retry: initialDelayMs must be at most maxDelayMs, got 20000 and 10000 milliseconds',
    ],
    [{ retry: { maxAttempts: 0 } }, 'retry: maxAttempts must be an integer from 1 up, got 0 (number)'],
    [{ retry: { maxAttempt: 3 } }, "retry: unknown option 'maxAttempt'; did you mean 'maxAttempts'?"],
    [{ retry: { maxElapsedMs: -1 } }, 'retry: maxElapsedMs must be an integer from 1 up, got -1 (number)'],
    [{ entryTimeoutMs: 0 }, 'entryTimeoutMs must be an integer from 1 up, got 0 (number)'],
    [{ failOnTimeout: 'yes' }, "failOnTimeout must be a boolean, got 'yes' (string)"],
    [{ maxBufferedRequests: 8, orderedLanes: 0 }, 'orderedLanes must be an integer from 1 up, got 0 (number)'],
    [
      { maxBufferedRequests: 16, orderedLanes: 2 },
      'orderedLanes must be at most maxInFlightRequests, since each has a request in flight, got 2 and 1',
    ],
    [
      { maxInFlightRequests: 2, maxBufferedRequests: 15, orderedLanes: 2 },
      'maxBufferedRequests must be at least 2 x orderedLanes x maxBatchSize, or the lanes send emptier batches, got 15, 2 and 4',
    ],
    [
      { rateLimitingStrategy: 'fixed' },
      "rateLimitingStrategy must be congestionControl(), fixedRateLimit(), noRateLimit() or one of your own, got 'fixed' (string)",
    ],
    [{ retry: 3 }, 'retry: options must be an object, got 3 (number)'],
    [{ retry: null }, 'retry: options must be an object, got null'],
  ])('%o is one clear problem', (given, problem) => {
    expect(problemsOf({ ...REQUIRED, ...given })).toEqual([problem])
  })

  test.each([
    [{ maxBufferedRequests: 1000, maxBatchSize: 100, maxInFlightRequests: 50 }, 4],
    [{ maxBufferedRequests: 1000, maxBatchSize: 100, maxInFlightRequests: 3 }, 3],
    [{ maxBufferedRequests: 1000, maxBatchSize: 500, maxInFlightRequests: 50 }, 1],
    [{ maxBufferedRequests: 101, maxBatchSize: 100, maxInFlightRequests: 50 }, 1],
  ])('of 4 lanes there are as many as %o allow: %i', (given, lanes) => {
    expect(resolveSinkOptions({ ...REQUIRED, ...given }).orderedLanes).toBe(lanes)
  })

  test.each([
    'maxBatchSize',
    'maxInFlightRequests',
    'maxBufferedRequests',
    'maxTimeInBufferMS',
    'maxBatchSizeInBytes',
    'maxRecordSizeInBytes',
    'maxBatchWeight',
    'maxBufferedBytes',
    'requestTimeoutMs',
    'entryTimeoutMs',
    'maxIsolationRequests',
    'orderedLanes',
    'retry.initialDelayMs',
    'retry.maxDelayMs',
    'retry.maxAttempts',
    'retry.maxElapsedMs',
  ])('a symbol or a bigint as %s is one problem', (name) => {
    const limits = { ...REQUIRED, orderedLanes: 1, maxBufferedRequests: 8, maxRecordSizeInBytes: 5 }
    expect(problemsOf(limits)).toEqual([])
    const [option = '', inner] = name.split('.')
    for (const value of [Symbol('n'), 1n]) {
      const given = { ...limits, [option]: inner === undefined ? value : { [inner]: value } }
      expect(problemsOf(given)).toEqual([expect.stringContaining(`${inner ?? option} must be an integer`)])
    }
  })

  test('every problem is reported at once', () => {
    const bad = {
      maxBatchSize: 0,
      maxInFlightRequests: 0,
      maxBufferedRequests: 0,
      maxTimeInBufferMS: 0,
      retry: { maxAttempts: 0 },
    }
    expect(() => resolveSinkOptions(bad)).toThrow(
      expect.objectContaining({
        code: 'SLUICE_OPTIONS_INVALID',
        facts: expect.objectContaining({ owner: 'AsyncSinkWriter' }) as object,
      }),
    )
    expect(problemsOf(bad)).toHaveLength(6)
  })
})
