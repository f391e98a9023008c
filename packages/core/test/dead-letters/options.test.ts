import { describe, expect, test } from 'vitest'
import { resolveJobOptions } from '../../src/job/options.ts'
import { type DeadLetters, fromIterable, type SinkToOptions, stream } from '../../src/index.ts'
import { InMemorySink } from '../job/harness.ts'

const says = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return String(error)
  }
  return ''
}

const resolve = (given: object): ReturnType<typeof resolveJobOptions> => resolveJobOptions({ name: 'x', ...given })

describe('the dead-letter options of start()', () => {
  test('have the documented defaults', () => {
    expect(resolve({})).toMatchObject({
      deadLetters: undefined,
      maxDeadLetterRatio: 0.5,
      deadLetterRetry: { maxAttempts: 10, timeoutMs: 30_000, initialDelayMs: 100, maxDelayMs: 10_000 },
    })
    expect(resolve({ deadLetterRetry: { timeoutMs: 5, maxAttempts: undefined } }).deadLetterRetry).toMatchObject({
      maxAttempts: 10,
      timeoutMs: 5,
    })
  })

  test('are checked all at once', () => {
    const problems = says(() =>
      resolve({
        deadLetters: { hasten: 1, open: 'x', close: null },
        maxDeadLetterRatio: 50,
        deadLetterRetry: { maxAttempts: 0, timeoutMS: 1, initialDelayMs: 0.5, maxDelayMs: '1s' },
      }),
    )
    for (const part of [
      'deadLetters must have the method(s) deliver',
      'deadLetters.hasten must be a function where there is one',
      'deadLetters.open must be a function',
      'deadLetters.close must be a function',
      'maxDeadLetterRatio must be a number from 0 to 1, got 50 (number)',
      'deadLetterRetry.maxAttempts must be an integer from 1 up, got 0',
      "unknown option 'deadLetterRetry.timeoutMS'; did you mean 'deadLetterRetry.timeoutMs'?",
      'deadLetterRetry.initialDelayMs must be',
      'deadLetterRetry.maxDelayMs must be',
    ]) {
      expect(problems).toContain(part)
    }
  })

  test.each(['./dead-letters', null, 5])('refuse %j as dead letters', (deadLetters) => {
    expect(says(() => resolve({ deadLetters }))).toContain('deadLetters must be an object with a method deliver')
  })

  test('take any object that delivers, of whatever class or copy of the package', () => {
    const deadLetters: DeadLetters = { deliver: () => Promise.resolve() }
    expect(resolve({ deadLetters }).deadLetters).toBe(deadLetters)
  })
})

const sinkTo = (options: unknown): unknown =>
  stream(fromIterable([1])).sinkTo(new InMemorySink<number>({ uid: 'a' }), options as SinkToOptions)

describe('the options of sinkTo()', () => {
  test.each([
    [{ deadLetters: {} }, 'sinkTo(a): 1 invalid option(s):\n  - deadLetters must have the method(s) deliver'],
    [{ deadLetter: {} }, "unknown option 'deadLetter'; did you mean 'deadLetters'?"],
    [5, 'options must be an object, got 5'],
  ])('%j are refused', (options, message) => {
    expect(says(() => sinkTo(options))).toContain(message)
  })

  test('may be left out', () => {
    expect(says(() => sinkTo(undefined))).toBe('')
    expect(says(() => sinkTo({}))).toBe('')
  })
})
