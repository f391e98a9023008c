import { beforeEach, describe, expect, test } from 'vitest'
import type { Entry } from '../src/series.ts'
import { ServerErrorRule, type ServerErrors } from '../src/writer-server-errors.ts'

let rule: ServerErrorRule
let probes: number
let isWell: boolean
/** A receiver whose disk is full takes empty requests only. */
let takesSamples: boolean
let probed: (readonly Entry[])[]

beforeEach(() => {
  rule = new ServerErrorRule(3)
  probes = 0
  isWell = true
  takesSamples = true
  probed = []
})

function errors(): ServerErrors {
  return { count: 0, lastAt: Number.NEGATIVE_INFINITY }
}

/** One more 500. */
async function failed(of: ServerErrors, isAlone = true, destination = ''): Promise<boolean> {
  return await rule.isAtFault(destination, of, isAlone, (entries) => {
    probes++
    probed.push(entries)
    return Promise.resolve(isWell && (takesSamples || entries.length === 0))
  })
}

describe('ServerErrorRule', () => {
  test('the third 500 is charged where the receiver takes an empty request', async () => {
    const poison = errors()
    expect([await failed(poison), await failed(poison)]).toStrictEqual([false, false])
    expect(probes).toBe(0)
    expect(await failed(poison)).toBe(true)
    expect(probes).toBe(1)
  })

  test('nothing is charged while the receiver takes nothing', async () => {
    const poison = errors()
    isWell = false
    for (let count = 0; count < 20; count++) expect(await failed(poison)).toBe(false)
    isWell = true
    expect(await failed(poison)).toBe(true)
  })

  test('a request written since the error before makes the probe needless', async () => {
    const poison = errors()
    await failed(poison)
    await failed(poison)
    rule.written('', undefined)
    expect(await failed(poison)).toBe(true)
    expect(probes).toBe(0)
  })

  test('where the first 500 is charged, what was written before it makes no probe needless', async () => {
    rule = new ServerErrorRule(1)
    rule.written('', undefined)
    isWell = false
    for (let count = 0; count < 5; count++) expect(await failed(errors())).toBe(false)
    expect(probes).toBe(5)
    isWell = true
    expect(await failed(errors())).toBe(true)
    expect(await failed(errors())).toBe(false)
  })

  test('a request written before that says nothing of now', async () => {
    const poison = errors()
    isWell = false
    await failed(poison)
    rule.written('', undefined)
    await failed(poison)
    expect(await failed(poison)).toBe(false)
    expect(probes).toBe(1)
  })

  test('where all else waits behind a second record, what was written last is written once more', async () => {
    const last = {} as Entry
    rule.written('', last)
    for (let record = 0; record < 3; record++) {
      const poison = errors()
      expect([await failed(poison), await failed(poison), await failed(poison)]).toStrictEqual([false, false, true])
    }
    expect(probed).toStrictEqual([[], [last], [last]])
  })

  test('a receiver that does not take again what it has written costs one record', async () => {
    takesSamples = false
    rule.written('', {} as Entry)
    const [first, second] = [errors(), errors()]
    for (let count = 0; count < 3; count++) await failed(first)
    for (let count = 0; count < 20; count++) expect(await failed(second)).toBe(false)
    takesSamples = true
    expect(await failed(second)).toBe(true)
  })

  test('a receiver that takes only empty requests costs one record, and no more until it writes samples again', async () => {
    const [first, second] = [errors(), errors()]
    for (let count = 0; count < 3; count++) await failed(first)
    for (let count = 0; count < 20; count++) expect(await failed(second)).toBe(false)
    rule.written('', undefined)
    expect(await failed(second)).toBe(true)
  })

  test('a request of several records is halved without that', async () => {
    const [first, second] = [errors(), errors()]
    for (let count = 0; count < 3; count++) await failed(first)
    await failed(second, false)
    await failed(second, false)
    expect(await failed(second, false)).toBe(true)
  })

  test('destinations have nothing to do with one another', async () => {
    const [first, second] = [errors(), errors()]
    for (let count = 0; count < 3; count++) await failed(first, true, 'one')
    await failed(second, true, 'two')
    await failed(second, true, 'two')
    expect(await failed(second, true, 'two')).toBe(true)
  })

  test('Infinity switches it off', async () => {
    rule = new ServerErrorRule(Number.POSITIVE_INFINITY)
    const poison = errors()
    for (let count = 0; count < 50; count++) expect(await failed(poison)).toBe(false)
    expect(probes).toBe(0)
  })
})
