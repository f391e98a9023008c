import { type ChildProcess, execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { waitFor } from '@sluice/testkit'
import { readJournal, startTimestreamLocal, type TimestreamLocal } from '@sluice/timestream-local'
import { describe, expect, test } from 'vitest'
import { e2eCommand } from '../src/e2e/arguments.ts'
import { costOf } from '../src/e2e/cost.ts'

const MAIN = fileURLToPath(new URL('../src/e2e/main.ts', import.meta.url))
const SECRET = 'a-key-that-nobody-may-see'
const TIMEOUT_MS = 120_000

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const AWS_KEYS = { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'of-the-user', AWS_SECRET_ACCESS_KEY: SECRET }

interface Start {
  /** Is given the process, to be sent a signal. */
  readonly onStart?: (child: ChildProcess) => Promise<void>
  readonly environment?: Readonly<Record<string, string>>
}

async function e2e(args: readonly string[], { onStart, environment }: Start = {}): Promise<Ended> {
  const env = { PATH: process.env['PATH'] ?? '', AWS_EC2_METADATA_DISABLED: 'true', ...environment }
  const running = promisify(execFile)(process.execPath, [MAIN, ...args], { env, timeout: TIMEOUT_MS })
  await onStart?.(running.child)
  try {
    return { code: 0, ...(await running) }
  } catch (error) {
    const { code, stdout, stderr } = error as Ended
    return { code, stdout, stderr }
  }
}

function resultOf({ stdout }: Ended): Record<string, unknown> {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>
}

async function operationsOf(store: TimestreamLocal): Promise<string[]> {
  const operations: string[] = []
  for await (const { operation } of readJournal(store.journalPath)) operations.push(operation)
  return operations
}

describe('against timestream-local', () => {
  test(
    'writes twice by each transport, reads each record once, and leaves nothing',
    { timeout: TIMEOUT_MS },
    async () => {
      await using store = await startTimestreamLocal()
      // What is set for AWS is not used.
      const environment = {
        AWS_USE_FIPS_ENDPOINT: 'true',
        AWS_USE_DUALSTACK_ENDPOINT: 'true',
        AWS_DEFAULTS_MODE: 'bogus',
      }
      const ended = await e2e(['--endpoint', store.endpoint, '--records', '120'], { environment })
      expect(ended.stderr).toBe('')
      expect(resultOf(ended)).toMatchObject({
        ok: true,
        written: 240,
        rows: 240,
        missing: 0,
        unexpected: 0,
        deleted: true,
      })
      expect(ended.code).toBe(0)
      const operations: string[] = []
      const outcomes: string[] = []
      for await (const entry of readJournal(store.journalPath)) {
        operations.push(entry.operation)
        if (entry.operation === 'WriteRecords') outcomes.push(...entry.records.map(({ outcome }) => outcome))
      }
      expect(operations.filter((operation) => operation !== 'WriteRecords')).toEqual([
        'CreateDatabase',
        'CreateTable',
        'DeleteTable',
        'DeleteDatabase',
      ])
      expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(240)
      expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(240)
    },
  )

  test('a run that fails says so, and deletes what it made', { timeout: TIMEOUT_MS }, async () => {
    await using store = await startTimestreamLocal()
    let requests = 0
    // Both requests of the first transport are answered.
    const random = (): number => (++requests <= 2 ? 1 : 0)
    store.faults.add({
      kind: 'fail',
      operation: 'WriteRecords',
      errorType: 'AccessDeniedException',
      probability: 0.5,
      random,
    })
    const ended = await e2e(['--endpoint', store.endpoint, '--records', '3'])
    expect(ended.code).toBe(1)
    expect(resultOf(ended)).toMatchObject({ ok: false, written: 3, rows: 0, missing: 6, deleted: true })
    expect(ended.stdout).toMatch(/failure: .*SLUICE_ACCESS_DENIED|failure: .*denied/i)
  })

  test('elsewhere than on loopback, region and keys are those of the user', { timeout: TIMEOUT_MS }, async () => {
    const credentials = [{ accessKeyId: AWS_KEYS.AWS_ACCESS_KEY_ID, secretAccessKey: SECRET }]
    await using store = await startTimestreamLocal({ credentials })
    // The same server under a name that is not known to be loopback.
    const endpoint = `http://[::ffff:127.0.0.1]:${store.port}`
    const ended = await e2e(['--endpoint', endpoint, '--records', '3'], {
      environment: { ...AWS_KEYS, SLUICE_E2E_AWS: '1' },
    })
    expect(resultOf(ended)).toMatchObject({ ok: true, written: 6, rows: 6, failures: [] })
    expect(ended.stdout + ended.stderr).not.toContain(SECRET)
  })

  test('a server that does not answer is told of, and given up', { timeout: TIMEOUT_MS }, async () => {
    const ended = await e2e(['--endpoint', 'http://127.0.0.1:1', '--records', '3', '--retry-seconds', '1'])
    expect(ended.code).toBe(1)
    expect(resultOf(ended)).toMatchObject({ ok: false, written: 0, rows: 0, missing: 6, deleted: false })
    expect(ended.stdout).toMatch(/failure: .*ECONNREFUSED/)
  })

  test('writes that are not answered are repeated and given up', { timeout: TIMEOUT_MS }, async () => {
    await using store = await startTimestreamLocal()
    store.faults.add({ kind: 'fail', operation: 'WriteRecords', errorType: 'InternalServerException' })
    const ended = await e2e(['--endpoint', store.endpoint, '--records', '3', '--retry-seconds', '1'])
    expect(ended.code).toBe(1)
    expect(resultOf(ended)).toMatchObject({ ok: false, written: 0, deleted: true })
    expect(ended.stdout).toContain('retry.maxElapsedMs')
    expect(ended.stderr).toContain('InternalServerException')
  })

  test('Ctrl-C ends it, and it deletes what it made', { timeout: TIMEOUT_MS }, async () => {
    await using store = await startTimestreamLocal()
    const stuck = store.faults.add({ kind: 'delay', operation: 'WriteRecords', delayMs: 8_000 })
    const ended = await e2e(['--endpoint', store.endpoint], {
      onStart: async (child) => {
        await waitFor(() => stuck.fired > 0, { what: 'a write', deadlineMs: 60_000 })
        child.kill('SIGINT')
      },
    })
    expect(ended.code).toBe(1)
    expect(resultOf(ended)).toMatchObject({ ok: false, deleted: true, failures: ['interrupted by SIGINT'] })
  })

  test('Ctrl-C while the database is being made leaves none', { timeout: TIMEOUT_MS }, async () => {
    await using store = await startTimestreamLocal()
    const slow = store.faults.add({ kind: 'delay', operation: 'CreateDatabase', delayMs: 4_000 })
    const ended = await e2e(['--endpoint', store.endpoint, '--records', '3'], {
      onStart: async (child) => {
        await waitFor(() => slow.fired > 0, { what: 'a database', deadlineMs: 60_000 })
        child.kill('SIGINT')
      },
    })
    expect(ended.code).toBe(1)
    expect(resultOf(ended)).toMatchObject({ ok: false, deleted: true, failures: ['interrupted by SIGINT'] })
    await waitFor(async () => (await operationsOf(store)).includes('CreateDatabase'), { what: 'the database' })
    expect(await operationsOf(store)).toEqual(['CreateDatabase', 'DeleteDatabase'])
  })

  test('records that the store does not give back are missing', { timeout: TIMEOUT_MS }, async () => {
    await using store = await startTimestreamLocal()
    store.faults.add({ kind: 'fail', operation: 'Query', errorType: 'AccessDeniedException' })
    const ended = await e2e(['--endpoint', store.endpoint, '--records', '3'])
    expect(ended.code).toBe(1)
    expect(resultOf(ended)).toMatchObject({ ok: false, written: 6, missing: 6, deleted: true })
  })
})

describe('before anything is done', () => {
  test('without SLUICE_E2E_AWS=1 it says what it would cost, and does nothing', { timeout: TIMEOUT_MS }, async () => {
    const ended = await e2e([])
    expect(ended.code).toBe(2)
    expect(ended.stdout).toContain('US dollars')
    expect(ended.stderr).toContain('SLUICE_E2E_AWS=1')
  })

  test('in CI it is refused, wherever it would write to AWS', () => {
    const environment = { SLUICE_E2E_AWS: '1', CI: 'true' }
    expect(e2eCommand([], environment)).toEqual({ kind: 'refused', problems: ['this is never done in CI'] })
    expect(e2eCommand(['--endpoint', 'https://timestream.example.com'], environment)).toMatchObject({ kind: 'refused' })
    expect(e2eCommand(['--endpoint', 'http://127.0.0.1:8086'], environment)).toMatchObject({ kind: 'run' })
    expect(e2eCommand([], { SLUICE_E2E_AWS: '1' })).toEqual({
      kind: 'run',
      options: { records: 500, retrySeconds: 120, endpoint: undefined, local: false },
    })
  })

  test('every problem is named', () => {
    const args = ['--records', '0', '--retry-seconds', '1h', '--endpoint', 'nowhere']
    expect(e2eCommand(args, {})).toMatchObject({
      problems: [
        "--records must be a whole number from 1 to 10000, got '0'",
        "--retry-seconds must be a whole number from 1 to 3600, got '1h'",
        "--endpoint must be a URL, got 'nowhere'",
        expect.stringContaining('this costs money'),
      ],
    })
    expect(e2eCommand(['--fast'], {})).toMatchObject({ kind: 'refused' })
    expect(e2eCommand(['--help'], {})).toMatchObject({ kind: 'help' })
  })

  test('the cost grows with the records', () => {
    expect(costOf(1000)).toMatch(/250 writes .* about 0\.10 US dollars/)
    expect(costOf(10_000_000)).toMatch(/about 1\.4\d US dollars/)
  })
})
