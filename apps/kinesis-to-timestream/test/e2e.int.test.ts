import { type ChildProcess, execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { waitFor } from '@sluice/testkit'
import { readJournal, startTimestreamLocal } from '@sluice/timestream-local'
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

/** @param onStart - is given the process, to be sent a signal. */
async function e2e(args: readonly string[], onStart?: (child: ChildProcess) => Promise<void>): Promise<Ended> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: SECRET,
    AWS_EC2_METADATA_DISABLED: 'true',
  }
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

describe('against timestream-local', () => {
  test(
    'writes twice by each transport, reads each record once, and leaves nothing',
    { timeout: TIMEOUT_MS },
    async () => {
      await using store = await startTimestreamLocal()
      const ended = await e2e(['--endpoint', store.endpoint, '--records', '120'])
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
      expect(ended.stdout).not.toContain(SECRET)
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
    store.faults.add({ kind: 'fail', operation: 'WriteRecords', errorType: 'AccessDeniedException' })
    const ended = await e2e(['--endpoint', store.endpoint, '--records', '3'])
    expect(ended.code).toBe(1)
    expect(resultOf(ended)).toMatchObject({ ok: false, rows: 0, missing: 6, deleted: true })
    expect(ended.stdout).toMatch(/failure: .*SLUICE_ACCESS_DENIED|failure: .*denied/i)
    expect(ended.stdout + ended.stderr).not.toContain(SECRET)
  })

  test('Ctrl-C ends it, and it deletes what it made', { timeout: TIMEOUT_MS }, async () => {
    await using store = await startTimestreamLocal()
    const stuck = store.faults.add({ kind: 'delay', operation: 'WriteRecords', delayMs: 8_000 })
    const ended = await e2e(['--endpoint', store.endpoint], async (child) => {
      await waitFor(() => stuck.fired > 0, { what: 'a write', deadlineMs: 60_000 })
      child.kill('SIGINT')
    })
    expect(ended.code).toBe(1)
    expect(resultOf(ended)).toMatchObject({ ok: false, deleted: true, failures: ['interrupted by SIGINT'] })
  })

  test('records that the store does not give back are missing', { timeout: TIMEOUT_MS }, async () => {
    await using store = await startTimestreamLocal()
    store.faults.add({ kind: 'fail', operation: 'Query', errorType: 'AccessDeniedException' })
    const ended = await e2e(['--endpoint', store.endpoint, '--records', '3'])
    expect(ended.code).toBe(1)
    expect(resultOf(ended)).toMatchObject({ ok: false, missing: 6, deleted: true })
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
      options: { records: 500, endpoint: undefined },
    })
  })

  test('every problem is named', () => {
    expect(e2eCommand(['--records', '0', '--endpoint', 'nowhere'], {})).toMatchObject({
      problems: [
        "--records must be a whole number from 1 to 10000, got '0'",
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
