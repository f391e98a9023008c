import { expect, test } from 'vitest'

import { closingLine, renderSummary, summarize, type PackageRun, type VitestResults } from '../src/test-summary.ts'

type Status = 'passed' | 'failed' | 'skipped' | 'todo'

function results(...files: { name: string; status?: string; message?: string; tests: Status[] }[]): VitestResults {
  return {
    testResults: files.map((file) => ({
      name: `/somewhere/packages/core/${file.name}`,
      status: file.status ?? (file.tests.includes('failed') ? 'failed' : 'passed'),
      message: file.message ?? '',
      assertionResults: file.tests.map((status, index) => ({
        fullName: `case ${index}`,
        status,
        failureMessages: status === 'failed' ? ['expected 1 to be 2\n  at line'] : [],
        meta: status === 'skipped' ? { skipReason: 'java is not on the PATH' } : {},
      })),
    })),
  }
}

function coreRun(change: Partial<PackageRun> = {}): PackageRun {
  return {
    name: '@sluice/core',
    folder: 'packages/core',
    testFiles: ['test/a.test.ts'],
    hasTestScript: true,
    results: results({ name: 'test/a.test.ts', tests: ['passed', 'passed'] }),
    ...change,
  }
}

test('counts passed, failed and skipped tests, with reasons', () => {
  const summary = summarize(
    [coreRun({ results: results({ name: 'test/a.test.ts', tests: ['passed', 'failed', 'skipped', 'todo'] }) })],
    1,
  )
  expect(summary.packages).toEqual([{ name: '@sluice/core', passed: 1, failed: 1, skipped: 2 }])
  expect(summary.failures).toEqual(['@sluice/core test/a.test.ts: case 1: expected 1 to be 2'])
  expect(summary.skips).toEqual([
    '@sluice/core test/a.test.ts: case 2 (java is not on the PATH)',
    '@sluice/core test/a.test.ts: case 3',
  ])
  expect(renderSummary(summary).split('\n').at(-1)).toBe('1 passed, 1 failed, 2 skipped')
})

test('the closing line names skips only when there are any', () => {
  expect(closingLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed')
  expect(closingLine({ passed: 3, failed: 1 })).toBe('3 passed, 1 failed')
})

test('a good run has no failure', () => {
  expect(summarize([coreRun()], 0)).toMatchObject({ passed: 2, failed: 0, skipped: 0, failures: [] })
})

test.each<[string, PackageRun[], number | null, string]>([
  ['without results', [coreRun({ results: undefined })], 0, 'test-results.json'],
  ['without a test script', [coreRun({ hasTestScript: false, results: undefined })], 0, 'no test script'],
  [
    'with a test file that was not run',
    [coreRun({ testFiles: ['test/a.test.ts', 'test/b.test.ts'] })],
    0,
    'test/b.test.ts',
  ],
  [
    'with an empty test file',
    [coreRun({ results: results({ name: 'test/a.test.ts', tests: [] }) })],
    0,
    'holds no test',
  ],
  [
    'with a file that could not be imported',
    [coreRun({ results: results({ name: 'test/a.test.ts', status: 'failed', message: 'Cannot find x', tests: [] }) })],
    1,
    'Cannot find x',
  ],
  [
    'whose afterAll failed behind passed tests',
    [
      coreRun({
        results: results({ name: 'test/a.test.ts', status: 'failed', message: 'left open', tests: ['passed'] }),
      }),
    ],
    1,
    'left open',
  ],
  ['whose runner failed although all results are good', [coreRun()], 1, 'task runner ended with 1'],
  ['whose runner was killed', [coreRun()], null, 'task runner ended with null'],
  ['without any test', [coreRun({ testFiles: [], results: undefined })], 0, 'no test ran'],
])('a run %s fails once', (_what, runs, code, said) => {
  const summary = summarize(runs, code)
  expect(summary.failures).toHaveLength(1)
  expect(summary.failed).toBe(1)
  expect(summary.failures[0]).toContain(said)
})

test('a failed hook says what it said', () => {
  const { testResults } = results({ name: 'test/a.test.ts', status: 'failed', tests: ['skipped'] })
  const withHookError = testResults.map((file) => ({
    ...file,
    assertionResults: file.assertionResults.map((each) => ({ ...each, meta: { hookError: 'no server' } })),
  }))
  const summary = summarize([coreRun({ results: { testResults: withHookError } })], 1)
  expect(summary.failures).toEqual(['@sluice/core test/a.test.ts: no server'])
})

test('only skipped tests are no passed run', () => {
  const summary = summarize([coreRun({ results: results({ name: 'test/a.test.ts', tests: ['skipped'] }) })], 0)
  expect(summary).toMatchObject({ failed: 1, failures: ['no test ran'] })
})
