import { beforeEach, describe, expect, test } from 'vitest'
import { ServerErrorRule, type ServerErrors, type ServerErrorVerdict } from '../src/writer-server-errors.ts'

const MIN_AGE_MS = 10_000

let rule: ServerErrorRule
/** Each answer comes a bit later than the one before. */
let nowMs: number
let probes: number
let isWell: boolean

beforeEach(() => {
  rule = new ServerErrorRule(3, MIN_AGE_MS)
  probes = 0
  isWell = true
  nowMs = 0
})

function errors(): ServerErrors {
  return { count: 0, lastAt: Number.NEGATIVE_INFINITY, isSuspected: false }
}

interface Circumstances {
  readonly isAlone?: boolean
  readonly destination?: string
  readonly sentAt?: number
  readonly isLastTry?: boolean
}

const probe = (): Promise<boolean> => {
  probes++
  return Promise.resolve(isWell)
}

/** One more 500, to a request with these entries that was sent just before. */
async function failed(of: readonly ServerErrors[], circumstances: Circumstances = {}): Promise<ServerErrorVerdict> {
  const { isAlone = of.length === 1, destination = '', sentAt = rule.now(), isLastTry = false } = circumstances
  nowMs += MIN_AGE_MS / 2
  return await rule.judge({ destination, errors: of, isAlone, sentAt, nowMs, isLastTry, probe })
}

describe('a request of one record', () => {
  test('is at fault when it is answered so once more after the third time, each between two proofs of health', async () => {
    const poison = [errors()]
    expect([await failed(poison), await failed(poison)]).toStrictEqual(['unclear', 'unclear'])
    expect(probes).toBe(1)
    expect([await failed(poison), await failed(poison)]).toStrictEqual(['askAgain', 'atFault'])
    expect(probes).toBe(3)
  })

  test('is not while the receiver takes nothing, however long that is', async () => {
    const record = [errors()]
    isWell = false
    for (let count = 0; count < 50; count++) expect(await failed(record)).toBe('unclear')
  })

  test('is not when the trouble ends after its last answer', async () => {
    const record = [errors()]
    isWell = false
    for (let count = 0; count < 10; count++) await failed(record)
    isWell = true
    // The probe tells that the receiver is well now: whether it was when it answered, nobody knows.
    expect(await failed(record)).toBe('unclear')
    expect(await failed(record)).toBe('askAgain')
  })

  test('is not when it was sent before the other samples that were written', async () => {
    const record = [errors()]
    isWell = false
    for (let count = 0; count < 3; count++) await failed(record)
    const sentAt = rule.now()
    rule.written('')
    isWell = true
    expect(await failed(record, { sentAt })).toBe('unclear')
  })

  test('is not when trouble begins after it was suspected', async () => {
    const record = [errors()]
    for (let count = 0; count < 3; count++) await failed(record)
    isWell = false
    for (let count = 0; count < 10; count++) expect(await failed(record)).toBe('unclear')
  })

  test('needs no probe before its last request where other samples were written', async () => {
    const poison = [errors()]
    isWell = false
    await failed(poison)
    await failed(poison)
    rule.written('')
    isWell = true
    expect(await failed(poison)).toBe('askAgain')
  })

  test.each([1, 2])('is asked about more than once also where %i is enough', async (after) => {
    rule = new ServerErrorRule(after, MIN_AGE_MS)
    rule.written('')
    const poison = [errors()]
    const last = { isLastTry: true }
    expect([await failed(poison, last), await failed(poison, last), await failed(poison, last)]).toStrictEqual([
      'unclear',
      'askAgain',
      'atFault',
    ])
  })

  test('is not before its destination has answered so for some time, unless it cannot be sent again', async () => {
    for (const isLastTry of [false, true]) {
      rule = new ServerErrorRule(3, Number.MAX_SAFE_INTEGER)
      const poison = [errors()]
      await failed(poison)
      await failed(poison)
      expect(await failed(poison, { isLastTry })).toBe(isLastTry ? 'askAgain' : 'unclear')
    }
  })

  test('is not either when answers of that kind came long ago', async () => {
    await failed([errors()])
    await failed([errors()])
    nowMs += 200_000
    const record = [{ ...errors(), count: 5, lastAt: 0 }]
    rule.written('')
    expect([await failed(record), await failed(record), await failed(record)]).toStrictEqual([
      'unclear',
      'unclear',
      'askAgain',
    ])
  })

  test('is judged by what its own destination writes', async () => {
    const record = [errors()]
    isWell = false
    for (let count = 0; count < 3; count++) await failed(record, { destination: 'one' })
    rule.written('two')
    isWell = true
    expect(await failed(record, { destination: 'one' })).toBe('unclear')
  })
})

describe('a request that can be divided', () => {
  test('is after the third time, if the receiver writes samples then', async () => {
    const entries = [errors(), errors()]
    expect([await failed(entries), await failed(entries), await failed(entries)]).toStrictEqual([
      'unclear',
      'unclear',
      'atFault',
    ])
    expect(probes).toBe(1)
  })

  test('is not while the receiver takes nothing', async () => {
    const entries = [errors(), errors()]
    isWell = false
    for (let count = 0; count < 50; count++) expect(await failed(entries)).toBe('unclear')
  })

  test('passes on to its halves what was counted', async () => {
    const entries = [errors(), errors(), errors(), errors()]
    for (let count = 0; count < 3; count++) await failed(entries)
    const half = entries.slice(2)
    expect(await failed(half)).toBe('atFault')
    expect([await failed(half.slice(1)), await failed(half.slice(1))]).toStrictEqual(['askAgain', 'atFault'])
  })
})

test('Infinity switches it off', async () => {
  rule = new ServerErrorRule(Number.POSITIVE_INFINITY, MIN_AGE_MS)
  for (const entries of [[errors()], [errors(), errors()]]) {
    for (let count = 0; count < 50; count++) expect(await failed(entries)).toBe('unclear')
  }
  expect(probes).toBe(0)
})
