/** What the shared vitest configuration writes as `test-results.json` (vitest's json reporter). */
export interface VitestResults {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages: readonly string[]
      readonly meta?: { readonly skipReason?: string; readonly hookError?: string }
    }[]
  }[]
}

/** One package of a run: what it has on disk, and what it left behind. */
export interface PackageRun {
  readonly name: string
  /** `packages/core` */
  readonly folder: string
  /** Relative to the package, with `/`. */
  readonly testFiles: readonly string[]
  readonly hasTestScript: boolean
  /** Absent when no `test-results.json` was written. */
  readonly results?: VitestResults | undefined
}

export interface PackageSummary {
  readonly name: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export interface Summary {
  readonly packages: readonly PackageSummary[]
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** One line for every failure: what failed and how it says so. */
  readonly failures: readonly string[]
  /** One line for every skipped test, with its reason where the test gave one. */
  readonly skips: readonly string[]
}

/**
 * Sums a run. Whatever is missing is a failure: a package with tests and without results, a test file that was not run,
 * a runner that failed while every result is good, a run without tests.
 */
export function summarize(runs: readonly PackageRun[], runnerCode: number | null): Summary {
  const failures: string[] = []
  const skips: string[] = []
  const packages = runs.filter((each) => each.testFiles.length > 0).map((each) => sumPackage(each, failures, skips))
  const sum = (key: 'passed' | 'failed' | 'skipped'): number => packages.reduce((total, each) => total + each[key], 0)
  const [passed, skipped] = [sum('passed'), sum('skipped')]
  if (runnerCode !== 0 && failures.length === 0) failures.push(`the task runner ended with ${runnerCode}`)
  if (passed + failures.length === 0) failures.push('no test ran')
  return { packages, passed, skipped, failed: failures.length, failures, skips }
}

function sumPackage(run: PackageRun, failures: string[], skips: string[]): PackageSummary {
  const before = failures.length
  let passed = 0
  let skipped = 0
  const fail = (what: string, message: string): void => {
    failures.push(`${run.name} ${what}: ${firstLine(message)}`)
  }
  if (!run.hasTestScript) fail('package.json', 'has test files and no test script')
  else if (run.results === undefined) fail('test-results.json', 'was not written: the build or the test run broke off')
  const ran = run.results?.testResults ?? []
  for (const file of ran) {
    const name = withinPackage(file.name, run.folder)
    let failedHere = 0
    let hookError = ''
    for (const test of file.assertionResults) {
      const reason = test.meta?.skipReason
      hookError ||= test.meta?.hookError ?? ''
      if (test.status === 'passed') passed++
      else if (test.status === 'failed') {
        failedHere++
        fail(`${name}: ${test.fullName}`, test.failureMessages[0] ?? 'failed')
      } else {
        skipped++
        skips.push(`${run.name} ${name}: ${test.fullName}${reason === undefined ? '' : ` (${reason})`}`)
      }
    }
    if (file.status !== 'passed' && failedHere === 0)
      fail(name, file.message || hookError || 'the file did not run to its end')
    else if (file.assertionResults.length === 0) fail(name, 'holds no test')
  }
  if (run.results !== undefined) {
    const names = new Set(ran.map((file) => withinPackage(file.name, run.folder)))
    for (const file of run.testFiles) if (!names.has(file)) fail(file, 'was not run')
  }
  return { name: run.name, passed, failed: failures.length - before, skipped }
}

/** The table and, as the last line, `N passed, N failed` with `, N skipped` when there are any. */
export function renderSummary(summary: Summary): string {
  const lines: string[] = []
  const width = Math.max(7, ...summary.packages.map((each) => each.name.length))
  const row = (name: string, ...cells: readonly (string | number)[]): string =>
    name.padEnd(width) + cells.map((cell) => String(cell).padStart(9)).join('')
  lines.push('', row('package', 'passed', 'failed', 'skipped'))
  for (const each of summary.packages) lines.push(row(each.name, each.passed, each.failed, each.skipped))
  if (summary.skips.length > 0) lines.push('', 'Skipped:', ...summary.skips.map((line) => `  ${line}`))
  if (summary.failures.length > 0) lines.push('', 'Failed:', ...summary.failures.map((line) => `  ${line}`))
  lines.push('', closingLine(summary))
  return lines.join('\n')
}

export function closingLine(counts: { passed: number; failed: number; skipped?: number }): string {
  const skipped = (counts.skipped ?? 0) > 0 ? `, ${counts.skipped} skipped` : ''
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`
}

// A cached result may have been written in another checkout: only the part below the package is comparable.
function withinPackage(file: string, folder: string): string {
  const marker = `/${folder}/`
  const at = file.lastIndexOf(marker)
  return at === -1 ? file : file.slice(at + marker.length)
}

function firstLine(text: string): string {
  const line = text.split('\n', 1)[0] ?? ''
  return line.length > 300 ? `${line.slice(0, 300)}…` : line
}
