import { describe, expect, test } from 'vitest'

import { ERROR_CODES, messageOf, SluiceError } from '../src/errors.ts'

describe('SluiceError', () => {
  test('has code, cause, facts and whether a new attempt may help', () => {
    const cause = new Error('socket')
    const error = new SluiceError('SLUICE_SINK_FAILED', 'failed', { cause, restartable: true, facts: { split: 's' } })
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({
      name: 'SluiceError',
      code: 'SLUICE_SINK_FAILED',
      message: 'failed',
      cause,
      restartable: true,
      facts: { split: 's' },
    })
  })

  test('without options it is final, has no facts and no cause', () => {
    const error = new SluiceError('SLUICE_INTERNAL', 'broken')
    expect(error).toMatchObject({ restartable: false, facts: {} })
    expect(Object.hasOwn(error, 'cause')).toBe(false)
  })

  test('is recognised across copies of the package', () => {
    const copy = Object.assign(new Error('of another copy'), { [Symbol.for('sluice.error')]: true })
    expect(SluiceError.isInstance(new SluiceError('SLUICE_CLOSED', 'closed'))).toBe(true)
    expect(SluiceError.isInstance(copy)).toBe(true)
    for (const other of [new Error('no'), null, undefined, 'SLUICE_CLOSED', { code: 'SLUICE_CLOSED' }]) {
      expect(SluiceError.isInstance(other)).toBe(false)
    }
  })

  test('from keeps what is one and wraps what is not', () => {
    const error = new SluiceError('SLUICE_CLOSED', 'closed')
    expect(SluiceError.from(error, 'SLUICE_SINK_FAILED', 'sink failed')).toBe(error)
    const cause = new TypeError('bad')
    expect(SluiceError.from(cause, 'SLUICE_SINK_FAILED', 'sink failed')).toMatchObject({
      code: 'SLUICE_SINK_FAILED',
      message: 'sink failed: bad',
      cause,
      restartable: true,
    })
  })

  test('codes are unique and of one form', () => {
    expect(new Set(ERROR_CODES).size).toBe(ERROR_CODES.length)
    for (const code of ERROR_CODES) expect(code).toMatch(/^SLUICE_[A-Z]+(_[A-Z]+)*$/)
  })
})

test.each([
  [new Error('text'), 'text'],
  [new TypeError(), 'TypeError'],
  ['text', 'text'],
  [undefined, 'undefined'],
  [42, '42'],
  [{ code: 5 }, '{ code: 5 }'],
])('messageOf(%o) is %j', (thrown, message) => {
  expect(messageOf(thrown)).toBe(message)
})
