import { expect, test } from 'vitest'
import { decodeFigures, encodeFigures, FIGURES_BYTES } from '../src/figures.ts'
import { parseKill } from '../src/subject/settings.ts'
import { IDLE } from './support.ts'

function encoded(figures = IDLE): Buffer {
  const buffer = Buffer.alloc(FIGURES_BYTES)
  encodeFigures(figures, buffer)
  return buffer
}

test('figures come back, shorter ones over longer ones too', () => {
  const long = { ...IDLE, ordinal: 123_456, emitted: 1e9, fetched: 1e9, diedAt: 'checkpoint:settled' }
  const buffer = encoded(long)
  expect(decodeFigures(buffer)).toEqual(long)
  encodeFigures(IDLE, buffer)
  expect(decodeFigures(buffer)).toEqual(IDLE)
})

test('a file that is read while it is written is not believed', () => {
  const before = encoded({ ...IDLE, ordinal: 11, emitted: 5 })
  const after = encoded({ ...IDLE, ordinal: 12, emitted: 6 })
  const torn = Buffer.concat([after.subarray(0, 100), before.subarray(100)])
  expect(decodeFigures(torn)).toBeUndefined()
  expect(decodeFigures(Buffer.alloc(0))).toBeUndefined()
})

test('figures that do not fit are refused', () => {
  expect(() => encodeFigures({ ...IDLE, diedAt: 'x'.repeat(FIGURES_BYTES) }, Buffer.alloc(FIGURES_BYTES))).toThrow(
    RangeError,
  )
})

test('the place of a kill is read', () => {
  expect(parseKill('checkpoint:settled@3')).toEqual({ failpoint: 'checkpoint:settled', nth: 3, signal: 'SIGKILL' })
  expect(parseKill('source:fetched@12=SIGTERM')).toEqual({ failpoint: 'source:fetched', nth: 12, signal: 'SIGTERM' })
  expect(() => parseKill('checkpoint:settled')).toThrow(/must be like checkpoint:settled@3/)
  expect(() => parseKill('source:fetched@0')).toThrow(/source:fetched@0/)
})
