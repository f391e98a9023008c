// `npm test`: every package's tests through turbo, then one table and one closing line over all of them.
// `npm test -- core timestream` runs the tests of some packages only.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { renderSummary, summarize, type VitestResults } from './test-summary.ts'
import { ROOT, SCOPE, readWorkspace, testFiles } from './workspace.ts'

const RESULTS = 'test-results.json'

const wanted = process.argv.slice(2)
const workspace = readWorkspace()
const unknown = wanted.filter((name) => !workspace.some((each) => each.name === SCOPE + name))
if (unknown.length > 0) {
  const known = workspace.map((each) => each.name.slice(SCOPE.length)).join(', ')
  throw new Error(`no package named ${unknown.join(', ')} (there are: ${known})`)
}
const selected =
  wanted.length === 0 ? workspace : workspace.filter((each) => wanted.includes(each.name.slice(SCOPE.length)))

// Results of an earlier run must not count. turbo puts back those of a task that it has cached.
for (const each of workspace) rmSync(join(each.path, RESULTS), { force: true })

const code = await turbo([
  'run',
  'test',
  '--concurrency=2',
  '--continue=dependencies-successful',
  '--output-logs=new-only',
  '--log-order=grouped',
  '--ui=stream',
  ...wanted.map((name) => `--filter=${SCOPE}${name}`),
])

const summary = summarize(
  selected.map((each) => ({
    name: each.name,
    folder: each.folder,
    testFiles: testFiles(each),
    hasTestScript: each.manifest.scripts?.['test'] !== undefined,
    results: readResults(join(each.path, RESULTS)),
  })),
  code,
)
console.log(renderSummary(summary))
process.exitCode = summary.failed === 0 ? 0 : 1

function readResults(path: string): VitestResults | undefined {
  if (!existsSync(path)) return undefined
  const results: VitestResults = JSON.parse(readFileSync(path, 'utf8'))
  return results
}

function turbo(args: readonly string[]): Promise<number | null> {
  const color = process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }
  return new Promise((resolve, reject) => {
    const child = spawn('turbo', args, {
      cwd: ROOT,
      stdio: 'inherit',
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', ...color },
    })
    child.on('error', reject)
    child.on('close', resolve)
  })
}
