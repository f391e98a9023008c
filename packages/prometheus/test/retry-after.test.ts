import { describe, expect, test } from 'vitest'
import { retryAfterMs } from '../src/retry-after.ts'

const NOW = Date.UTC(2026, 10, 21, 12, 0, 0)

describe('retryAfterMs', () => {
  test.each([
    ['seconds', '7', undefined, 7000],
    ['no wait', '0', undefined, 0],
    ['surrounded by spaces', ' 7 ', undefined, 7000],
    ['more than an hour', '999999999', undefined, 3_600_000],
    ['so many digits that no number has them', '9'.repeat(400), undefined, 3_600_000],
    ['a date', 'Sat, 21 Nov 2026 12:00:30 GMT', undefined, 30_000],
    ['a date that has passed', 'Sat, 21 Nov 2026 11:00:30 GMT', undefined, 0],
    ['a date in the form of RFC 850', 'Saturday, 21-Nov-26 12:00:30 GMT', undefined, 30_000],
    ['a date in the form of asctime', 'Sat Nov 21 12:00:30 2026', undefined, 30_000],
    ['a date far away', 'Sat, 21 Nov 2099 12:00:30 GMT', undefined, 3_600_000],
    ['a date of a clock that is an hour off', 'Sat, 21 Nov 2026 13:00:30 GMT', 'Sat, 21 Nov 2026 13:00:00 GMT', 30_000],
    ['a date beside a Date that cannot be read', 'Sat, 21 Nov 2026 12:00:30 GMT', 'soon', 30_000],
  ])('%s', (_, header, date, wanted) => {
    expect(retryAfterMs(header, date, NOW)).toBe(wanted)
  })

  test.each([undefined, '', ' ', 'soon', '-1', '1.5', '1e3', '2026-11-21', 'Sat, 99 Foo 2026 12:00:30 GMT'])(
    'nothing for %j',
    (header) => {
      expect(retryAfterMs(header, undefined, NOW)).toBeUndefined()
    },
  )
})
