import { describe, expect, test } from 'vitest'

import { SluiceError } from '../src/errors.ts'
import { consoleLogger, type ConsoleLoggerOptions, type Logger, silentLogger } from '../src/logger.ts'

function start(options: ConsoleLoggerOptions = {}): {
  readonly logger: Logger
  readonly lines: () => readonly Record<string, unknown>[]
} {
  const lines: string[] = []
  return {
    logger: consoleLogger({ ...options, write: (line) => void lines.push(line) }),
    lines: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
  }
}

describe('consoleLogger', () => {
  test('writes one JSON line a message', () => {
    const { logger, lines } = start()
    logger.info({ split: 's1', count: 2 }, 'split\nfinished')
    expect(lines()).toEqual([
      { level: 'info', time: expect.any(String) as string, message: 'split\nfinished', split: 's1', count: 2 },
    ])
    expect(new Date(lines()[0]?.['time'] as string).getTime()).toBeGreaterThan(0)
  })

  test.each([
    ['debug', ['debug', 'info', 'warn', 'error']],
    [undefined, ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
  ] as const)('at level %s it writes %j', (level, written) => {
    const { logger, lines } = start(level === undefined ? {} : { level })
    for (const each of ['debug', 'info', 'warn', 'error'] as const) logger[each]({}, each)
    expect(lines().map((line) => line['level'])).toEqual(written)
  })

  test('errors show name, message and code, not their fields; big numbers are text', () => {
    const { logger, lines } = start()
    const error = new SluiceError('SLUICE_CLOSED', 'closed', { facts: { record: 'content' }, cause: new Error('x') })
    logger.warn({ error, nested: { error: new TypeError('bad') }, version: 2n ** 60n }, 'message')
    expect(lines()).toMatchObject([
      {
        error: { name: 'SluiceError', message: 'closed', code: 'SLUICE_CLOSED' },
        nested: { error: { name: 'TypeError', message: 'bad' } },
        version: '1152921504606846976',
      },
    ])
    expect(JSON.stringify(lines())).not.toContain('content')
  })

  test('fields cannot forge level, time and message', () => {
    const { logger, lines } = start()
    logger.error({ level: 'debug', time: 'never', message: 'other' }, 'message')
    expect(lines()).toMatchObject([{ level: 'error', message: 'message' }])
    expect(lines()[0]?.['time']).not.toBe('never')
  })

  test('fields that cannot be written do not fail what logs them', () => {
    const { logger, lines } = start()
    const circular: { self?: unknown } = {}
    circular.self = circular
    logger.error({ circular }, 'message')
    expect(lines()).toEqual([
      {
        level: 'error',
        time: expect.any(String) as string,
        message: 'message',
        fieldsNotWritten: expect.any(String) as string,
      },
    ])
  })
})

test('silentLogger says nothing', () => {
  for (const level of ['debug', 'info', 'warn', 'error'] as const) expect(silentLogger[level]({}, 'x')).toBeUndefined()
})
