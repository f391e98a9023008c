import { describe, expect, test } from 'vitest'

import { SluiceError } from '../../src/index.ts'
import { judge, reasonOf } from '../../src/sink/outcome.ts'
import { Harness, names, reason, WRITTEN } from './harness.ts'

const written = (count: number): readonly object[] => Array.from({ length: count }, () => ({ kind: 'written' }))

const MALFORMED: readonly (readonly [name: string, outcome: unknown, message: string])[] = [
  ['nothing', undefined, 'not an object'],
  ['null', null, 'not an object'],
  ['a word', 'ok', 'not an object'],
  ['true', true, 'not an object'],
  ['an empty object', {}, 'none of the known fields'],
  ['a list', [], 'no outcomes for 4 entries'],
  ['allWritten: false', { allWritten: false }, 'allWritten is not true'],
  ['allWritten: "yes"', { allWritten: 'yes' }, 'allWritten is not true'],
  ['no outcomes', { entries: [] }, '0 outcomes for 4 entries'],
  ['one outcome too few', { entries: written(3) }, '3 outcomes for 4 entries'],
  ['one outcome too many', { entries: written(5) }, '5 outcomes for 4 entries'],
  ['a hole', { entries: [...written(1), undefined, ...written(2)] }, 'entry 1'],
  ['an unknown kind', { entries: [...written(3), { kind: 'ok' }] }, 'entry 3'],
  ['entries that are no list', { entries: { length: 4 } }, 'no outcomes for 4 entries'],
  ['two answers at once', { allWritten: true, entries: written(4) }, 'both allWritten and entries'],
]

describe('outcomes', () => {
  test('all written settles every token, and none before', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 4))
    const request = await harness.only()
    expect(harness.settlement.settled).toEqual([])
    await request.answer({ allWritten: true })
    expect(harness.settlement.settled).toEqual([0, 1, 2, 3])
    expect(harness.writer.status()).toMatchObject({ accepted: 4, written: 4, inHand: 0 })
  })

  test('every kind in one answer, each to its entry', async () => {
    const harness = new Harness({ maxBatchSize: 6 }, () => 0)
    const letter = Promise.withResolvers<boolean>()
    harness.settlement.decide = () => letter.promise
    harness.offer(...names('a', 6))
    await (
      await harness.only()
    ).answer({
      entries: [
        { kind: 'retry', reason: reason('busy') },
        { kind: 'written' },
        { kind: 'refuse', reason: { ...reason('RejectedRecord'), requestId: 'r-1' } },
        { kind: 'duplicate' },
        { kind: 'dropped', reason: reason('tooOld') },
        { kind: 'retry', reason: reason('limit'), afterMs: 300 },
      ],
    })
    expect(harness.settlement.settled).toEqual([1, 3, 4])
    expect(harness.writer.status()).toMatchObject({
      accepted: 6,
      written: 1,
      duplicate: 1,
      dropped: 1,
      deadLettered: 0,
      inHand: 3,
      retryingRecords: 2,
    })
    expect(harness.settlement.refusals).toEqual([
      {
        token: 2,
        stage: 'store',
        reason: { ...reason('RejectedRecord'), requestId: 'r-1' },
        entry: { name: 'a2', size: 0, weight: 1 },
        attempts: 1,
      },
    ])
    letter.resolve(true)
    await harness.clock.flush()
    expect(harness.settlement.settled).toEqual([1, 3, 4, 2])
    await harness.clock.advance(300)
    expect(harness.sent().map((request) => [request.sentAt, ...request.names])).toEqual([
      [50, 'a0'],
      [300, 'a5'],
    ])
  })

  test('a fatal outcome fails the attempt; nothing is charged to the entries, nothing is sent again', async () => {
    const harness = new Harness({ retry: { maxAttempts: 1 } })
    harness.offer(...names('a', 4))
    const error = new SluiceError('SLUICE_ACCESS_DENIED', 'no permission')
    await (await harness.only()).answer({ fail: error })
    expect(harness.failures).toEqual([error])
    expect(harness.settlement.refusals).toEqual([])
    expect(harness.settlement.settled).toEqual([])
    expect(harness.writer.status()).toMatchObject({ inHand: 4, retryingRecords: 4 })
    expect(harness.metric('numRecordsSendErrors')).toBe(4)
    await harness.clock.advance(3_600_000)
    expect(harness.requests).toEqual([])
    await harness.writer.close(0)
    expect(harness.writer.status()).toMatchObject({ abandoned: 4, inHand: 0 })
  })

  test('a SluiceError that is thrown fails the attempt', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 4))
    const error = new SluiceError('SLUICE_DESTINATION_NOT_FOUND', 'no such table')
    await (await harness.only()).reject(error)
    expect(harness.failures).toEqual([error])
    expect(harness.settlement.settled).toEqual([])
  })

  test.each(MALFORMED)('%s is isolated, never written', async (_, outcome, message) => {
    const harness = new Harness()
    harness.offer(...names('a', 4))
    const request = await harness.only()
    expect(judge(outcome as never, 4)).toEqual({
      kind: 'halve',
      reason: { code: 'outcomeMalformed', message: expect.stringContaining(message) as string },
      counted: true,
    })
    await request.answer(outcome)
    const parts: (readonly string[])[] = []
    for (let [part] = harness.sent(); part !== undefined; [part] = harness.sent()) {
      parts.push(part.names)
      await part.answer(outcome)
    }
    expect(parts).toEqual([['a0', 'a1'], ['a0'], ['a1'], ['a2', 'a3'], ['a2'], ['a3']])
    expect(harness.settlement.refusals).toHaveLength(4)
    expect(harness.writer.status()).toMatchObject({ written: 0, deadLettered: 4, inHand: 0 })
    expect(harness.failures).toEqual([])
  })

  test('an outcome that throws when it is read is isolated, never written', async () => {
    const harness = new Harness({ maxBatchSize: 1 })
    harness.offer('a')
    const outcome = Object.defineProperty({}, 'allWritten', {
      get: () => {
        throw new Error('gone')
      },
    })
    await (await harness.only()).answer(outcome)
    expect(harness.settlement.refusals).toMatchObject([
      { reason: { code: 'submitThrew', message: 'submit threw: Error' } },
    ])
    expect(harness.failures).toEqual([])
  })

  test.each([
    ['an Error', new TypeError('x is not a function'), 'submit threw: TypeError'],
    ['undefined', undefined, 'submit threw: undefined'],
    ['a word', 'broken', 'submit threw: string'],
  ])('a thrown value (%s) is isolated, never written', async (_, thrown, message) => {
    const harness = new Harness({ maxBatchSize: 1 })
    harness.offer('a')
    await (await harness.only()).reject(thrown)
    expect(harness.writer.status()).toMatchObject({ written: 0, deadLettered: 1 })
    expect(harness.settlement.refusals).toMatchObject([{ reason: { code: 'submitThrew', message, cause: thrown } }])
  })

  test.each([undefined, null, 'busy', 42, { message: 'no code' }])(
    'a reason that is none (%j) costs no entry its repeat',
    async (given) => {
      const harness = new Harness()
      harness.offer(...names('a', 4))
      const entries = [{ kind: 'written' }, { kind: 'retry', reason: given }, { kind: 'refuse', reason: given }]
      await (await harness.only()).answer({ entries: [...entries, { kind: 'written' }] })
      expect(harness.failures).toEqual([])
      expect(harness.imbalance()).toBe(0)
      expect(harness.settlement.settled).toEqual([0, 3, 2])
      expect(harness.settlement.refusals[0]?.reason.code).toBe('unspecified')
      await harness.clock.advance(100)
      expect(await harness.only()).toMatchObject({ names: ['a1'] })
    },
  )

  test('a fatal outcome that is no SluiceError becomes one', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 4))
    const cause = new Error('boom')
    await (await harness.only()).answer({ fail: cause })
    expect(harness.failures).toMatchObject([{ code: 'SLUICE_SINK_FAILED', restartable: true, cause }])
  })

  test('fields that are undefined are not there', () => {
    const outcome = { allWritten: undefined, retryAll: reason('busy'), afterMs: undefined } as never
    expect(judge(outcome, 1)).toEqual({ kind: 'all', reason: reason('busy'), slowDown: true, unknown: false })
    expect(reasonOf(reason('busy'))).toEqual(reason('busy'))
  })

  test('an engine that cannot apply an answer fails the attempt instead of the process', async () => {
    const harness = new Harness()
    harness.offer(...names('a', 4))
    harness.settlement.settle = () => {
      throw new RangeError('settled twice')
    }
    await (await harness.only()).answer(WRITTEN)
    expect(harness.failures).toMatchObject([{ code: 'SLUICE_INTERNAL' }])
  })
})
