import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SeriesLike } from '../src/options-sink.ts'
import { holds, linesOf, record, records, T, WriterStand } from './writer-stand.ts'

let stand: WriterStand

beforeEach(async () => {
  stand = await WriterStand.start()
})

afterEach(async () => {
  await stand[Symbol.asyncDispose]()
})

const FAIL = { errorHandlingBehaviorConfiguration: { onPrometheusNonRetriableError: 'FAIL' } } as const
const DISCARD = {
  errorHandlingBehaviorConfiguration: { onPrometheusNonRetriableError: 'DISCARD_AND_CONTINUE' },
} as const
const one = { orderedLanes: 1 }

/** Breaks a rule, with so many samples. */
function bad(count: number, metricName = 'not a name'): SeriesLike {
  return {
    metricName,
    labels: { host: 's3cret' },
    samples: Array.from({ length: count }, (_, at) => ({ value: 1, timestamp: T + at })),
  }
}

describe('a series that the receiver refuses', () => {
  beforeEach(() => stand.refusing('c'))

  test('is dropped, counted, logged with the name of its metric, where there are no dead letters', async () => {
    await stand.write(records('abcd'), one)
    expect(stand.writer.status()).toMatchObject({ written: 3, dropped: 1, deadLettered: 0 })
    expect(stand.harness.settlement.refusals).toStrictEqual([])
    expect(stand.harness.metric('numSamplesNonRetriableDropped')).toBe(1)
    expect(stand.harness.lines('were dropped')).toMatchObject([
      { level: 'warn', fields: { series: 1, samples: 1, metrics: ['up'], code: 'http400' } },
    ])
  })

  test('goes to the dead letters where there are any', async () => {
    stand.harness.settlement.delivers = true
    await stand.write(records('abcd'), one)
    expect(stand.writer.status()).toMatchObject({ written: 3, dropped: 0, deadLettered: 1 })
    expect(stand.harness.settlement.refusals).toMatchObject([{ token: 2, stage: 'store', reason: { code: 'http400' } }])
    expect(stand.harness.metric('numSamplesDropped')).toBe(0)
  })

  test('is dropped in spite of dead letters where that was asked for', async () => {
    stand.harness.settlement.delivers = true
    await stand.write(records('abcd'), { ...one, ...DISCARD })
    expect(stand.writer.status()).toMatchObject({ written: 3, dropped: 1, deadLettered: 0 })
  })

  test('when the budget is spent, what is left goes to the dead letters with that reason', async () => {
    stand.refusing('abcdefghijklmnop')
    stand.harness.settlement.delivers = true
    await stand.write(records('abcdefghijklmnop'), { ...one, maxIsolationRequests: 6 })
    expect(stand.writer.status()).toMatchObject({ deadLettered: 16, dropped: 0 })
    const codes = stand.harness.settlement.refusals.map(({ reason }) => reason.code)
    expect(codes).toContain('isolationBudget')
  })
})

describe('a receiver of 1.0 that writes the valid part of what it refuses', () => {
  const newest = new Map<string, number>()

  beforeEach(() => {
    newest.clear()
    stand.harness.settlement.delivers = true
  })

  /** Without an out-of-order window. */
  function isTaken(line: string): boolean {
    const [series = '', , time = ''] = line.split(' ')
    const at = Number(time.slice(1))
    if (series.includes('host=bad') || at < (newest.get(series) ?? 0)) return false
    newest.set(series, at)
    return true
  }

  test('letters of what it refuses when it is sent again say that it may be stored, others do not', async () => {
    stand.receiver.decide = (request) => ({
      status: linesOf(request).filter((line) => !isTaken(line)).length > 0 ? 400 : 204,
    })
    await stand.write([record('a', 1), record('a', 2), record('a', 3), record('bad', 1), record('b', 1)], one)
    const { refusals } = stand.harness.settlement
    expect(refusals.map(({ token }) => token).toSorted((a, b) => a - b)).toStrictEqual([0, 1, 3])
    const doubted = refusals.filter(({ reason }) => reason.message.includes('it may be stored'))
    expect(doubted.map(({ token }) => token).toSorted((a, b) => a - b)).toStrictEqual([0, 1])
    expect(stand.harness.metric('numSamplesRefusedOnReplay')).toBe(0)
  })

  test('what one that rolls back refuses for good is a letter too, also where it is not the newest of its series', async () => {
    stand.receiver.decide = (request) => ({
      status: linesOf(request).some((line) => line.endsWith(`@${T + 1}`)) ? 400 : 204,
    })
    await stand.write([record('a', 1), record('a', 2), record('b', 2)], one)
    expect(stand.harness.settlement.refusals).toMatchObject([{ token: 0, reason: { code: 'http400' } }])
    expect(stand.writer.status()).toMatchObject({ written: 2, deadLettered: 1, dropped: 0 })
  })
})

describe('a series that breaks the rules', () => {
  test('is dropped, counted and logged without what it holds, and those beside it are written', async () => {
    const value = [record('a', 1), bad(3), record('b', 2)] as unknown as SeriesLike
    await stand.write([value, bad(1, 'neither this'), record('c', 3)], one)
    expect(stand.requests.flat()).toHaveLength(3)
    expect(stand.writer.status()).toMatchObject({ accepted: 5, written: 3, dropped: 2, deadLettered: 0, inHand: 0 })
    expect(stand.harness.failures).toStrictEqual([])
    expect(stand.harness.settlement.refusals).toStrictEqual([])
    expect(stand.harness.metric('numSamplesNonRetriableDropped')).toBe(4)
    expect(stand.harness.metric('numSamplesOut')).toBe(3)
    expect(stand.harness.lines('were dropped')).toMatchObject([
      {
        level: 'warn',
        message: expect.stringContaining('remote write 1.0 wants metric names'),
        fields: { code: 'invalidSeries', series: 2, samples: 4, metrics: ['not a name', 'neither this'] },
      },
    ])
    expect(JSON.stringify(stand.harness.log)).not.toContain('s3cret')
  })

  test('costs no request where nothing else is to be sent', async () => {
    await stand.write([bad(2)], one)
    expect(stand.receiver.received).toHaveLength(0)
    expect(stand.writer.status()).toMatchObject({ dropped: 1, inHand: 0 })
  })

  test.each([
    ['dead letters', {}],
    ['FAIL', FAIL],
  ])('refuses its value, with %s', async (_, options) => {
    stand.harness.settlement.delivers = true
    await stand.write([record('a', 1), bad(3), record('b', 2)], { ...one, ...options })
    expect(stand.requests.flat()).toHaveLength(2)
    expect(stand.harness.settlement.refusals).toMatchObject([
      { token: 1, stage: 'convert', reason: { code: 'convertThrew' }, value: { metricName: 'not a name' } },
    ])
    expect(stand.harness.metric('numSamplesDropped')).toBe(0)
  })

  test('what else a converter throws is a refusal, whatever the policy', async () => {
    stand.harness.settlement.delivers = true
    await stand.write(records('a'), { ...DISCARD, elementConverter: throws })
    expect(stand.harness.settlement.refusals).toMatchObject([{ stage: 'convert' }])
  })

  test('those beside it are repeated, halved and looked into as ever', async () => {
    let count = 0
    stand.receiver.decide = (request) => {
      if (++count <= 2) return { status: 503 }
      return { status: holds(request, 'c') ? 400 : 204 }
    }
    await stand.write([...records('abc'), bad(1), ...records('def')], one)
    expect(stand.writer.status()).toMatchObject({ written: 5, dropped: 2, inHand: 0 })
    expect(stand.harness.metric('numSamplesOut')).toBe(5)
  })

  test('is neither dropped nor counted by an attempt that ends for another cause', async () => {
    stand.receiver.decide = () => ({ status: 403 })
    await stand.write([record('a', 1), bad(1)], one)
    expect(stand.harness.failures).toMatchObject([{ code: 'SLUICE_ACCESS_DENIED' }])
    expect(stand.writer.status()).toMatchObject({ inHand: 2, dropped: 0 })
    expect(stand.harness.metric('numSamplesDropped')).toBe(0)
  })

  test('of which no bytes can be made costs itself alone', async () => {
    // As of somebody who changes a value that was handed over.
    let isChanged = false
    const histogram = {
      kind: 'int',
      timestamp: T,
      sum: 1,
      schema: 0,
      count: 1,
      get positiveSpans(): never[] {
        return isChanged ? (null as unknown as never[]) : []
      },
    } as const
    const last = record('b', 2)
    await stand.write([record('a', 1), { metricName: 'h', histograms: [histogram] }, last], {
      ...one,
      elementConverter: (given) => {
        isChanged ||= given === last
        return given
      },
    })
    expect(stand.harness.failures).toStrictEqual([])
    expect(stand.requests.flat()).toHaveLength(2)
    expect(stand.writer.status()).toMatchObject({ written: 2, dropped: 1, inHand: 0 })
    expect(stand.harness.lines('were dropped')).toMatchObject([{ fields: { code: 'notEncodable', metrics: ['h'] } }])
  })

  test('is counted for its tenant', async () => {
    await stand.write([record('a', 1), bad(1)], { tenant: () => 'team' })
    expect(stand.harness.lines('were dropped')).toMatchObject([{ fields: { destination: 'team' } }])
  })
})

function throws(): never {
  throw new TypeError('mine')
}
