import { describe, expect, test } from 'vitest'
import { fromIterable, type JobOptions, SPI_VERSION, stream } from '../../src/index.ts'
import { resolveJobOptions } from '../../src/job/options.ts'
import { InMemorySink, InMemorySource } from '../../src/testing.ts'

describe('parts that do not belong together are refused where they meet', () => {
  test('a source of another contract version', () => {
    const source = Object.assign(new InMemorySource<number>(), { spiVersion: SPI_VERSION + 1 })
    expect(() => stream(source)).toThrow(
      `source 'memory' is made for contract version ${SPI_VERSION + 1}, @sluice/core has ${SPI_VERSION}: install versions that belong together`,
    )
  })

  test('a sink of another contract version', () => {
    const sink = Object.assign(new InMemorySink<number>(), { spiVersion: 0 })
    expect(() => stream(new InMemorySource<number>()).sinkTo(sink)).toThrow(
      expect.objectContaining({ code: 'SLUICE_SPI_MISMATCH' }) as Error,
    )
  })

  test.each([
    ['acknowledgement', 'individual'],
    ['assignment', 'external'],
  ])('a source whose checkpoints hold the positions, with %s %s', (name, value) => {
    const source = Object.assign(new InMemorySource<number>(), { [name]: value })
    expect(() => stream(source)).toThrow(
      /position authority 'checkpoint' with acknowledgement '.*' and assignment '.*': a checkpoint holds one position/,
    )
    const hosted = Object.assign(new InMemorySource<number>(), { [name]: value, positionAuthority: 'external' })
    expect(() => stream(hosted)).not.toThrow()
  })

  test('two sinks of one uid', () => {
    const pipeline = stream(fromIterable([1])).sinkTo(new InMemorySink<number>({ uid: 'a' }))
    expect(() => pipeline.sinkTo(new InMemorySink<number>({ uid: 'a' }))).toThrow(/two sinks .* uid 'a'/)
    pipeline.sinkTo(new InMemorySink<number>({ uid: 'b' }))
  })
})

const bad = (options: unknown): string => {
  try {
    resolveJobOptions(options as JobOptions)
  } catch (error) {
    return String(error)
  }
  return ''
}

describe('the options of start()', () => {
  test('have the documented defaults', () => {
    const resolved = resolveJobOptions({ name: 'x' })
    expect(resolved).toMatchObject({ parallelism: 1, restartGraceMs: 5000, drainDeadlineMs: 20_000, durable: false })
    expect(resolved.checkpoints).toMatchObject({ intervalMs: 10_000, minPauseMs: 0, timeoutMs: 600_000 })
    expect(resolved.restart.name).toBe('exponential-delay')
    expect(resolved.admin).toBeUndefined()
  })

  test('report every problem at once, with path, rule and value', () => {
    const says = bad({
      name: '../up',
      parallelism: 0,
      drainDeadlineMs: -1,
      intervall: 5,
      logger: {},
      clock: 7,
      checkpoints: { intervalMs: 0, minPauseMs: -1, timeoutMs: 'x', storage: {}, intervalMS: 1 },
      admin: { port: 70_000, host: '' },
    })
    for (const part of [
      'name must be letters',
      'parallelism must be an integer from 1 to 1024, got 0',
      'drainDeadlineMs must be',
      "unknown option 'intervall'",
      'logger must have the method(s) debug, info, warn, error',
      'clock must have',
      'checkpoints.intervalMs must be',
      'checkpoints.minPauseMs must be',
      'checkpoints.timeoutMs must be',
      'checkpoints.storage must have the method(s) open',
      "unknown option 'checkpoints.intervalMS'; did you mean 'checkpoints.intervalMs'?",
      'admin.port must be an integer from 0 to 65535, got 70000',
      'admin.host must be',
    ]) {
      expect(says).toContain(part)
    }
  })

  test.each(['', 'a/b', '.hidden', 'a'.repeat(101), 'ä', undefined])('refuse the name %j', (name) => {
    expect(bad({ name })).toContain('name must be')
  })

  test('refuse what is no object', () => {
    expect(bad(undefined)).toContain('options must be an object')
    expect(bad({ name: 'x', checkpoints: 5 })).toContain('checkpoints must be an object')
  })
})
