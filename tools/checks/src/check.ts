// `npm run check`: everything about the repository that is not a test. Goes through all checks, whatever fails.
import { apiReports } from './checks/api.ts'
import { changesets } from './checks/changesets.ts'
import type { Check } from './checks/check.ts'
import { commandCheck } from './checks/commands.ts'
import { publishedAreProved } from './checks/graph.ts'
import { importDirection } from './checks/imports.ts'
import { machineTraces, sourceLength } from './checks/sources.ts'
import { tarballChecks } from './checks/tarballs.ts'
import { typeCanary, typeCheck } from './checks/types.ts'
import { configuredRegistry } from './publish/registry.ts'
import { closingLine } from './test-summary.ts'
import { ROOT } from './workspace.ts'

const tarballs = tarballChecks(ROOT)
const checks: Check[] = [
  commandCheck('format', ROOT, 'oxfmt', '--check', '.'),
  commandCheck('lint', ROOT, 'oxlint', '--type-aware', '--deny-warnings'),
  typeCheck(ROOT),
  typeCanary(ROOT),
  commandCheck('unused files, exports and dependencies', ROOT, 'knip', '--no-progress', '--no-config-hints'),
  importDirection(ROOT),
  sourceLength(ROOT),
  machineTraces(ROOT, await configuredRegistry(ROOT)),
  publishedAreProved(ROOT),
  changesets(ROOT),
  apiReports(ROOT),
  ...tarballs.checks,
]

let failed = 0
try {
  for (const check of checks) {
    const startedMs = performance.now()
    const problems = await check.problems().catch((error: unknown) => [String(error)])
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    console.log(`${problems.length === 0 ? 'pass' : 'FAIL'}  ${check.name} (${seconds} s)`)
    for (const problem of problems) console.log(problem.replaceAll(/^/gm, '      '))
    if (problems.length > 0) failed++
  }
} finally {
  tarballs.dispose()
}
console.log(`\n${closingLine({ passed: checks.length - failed, failed })}`)
process.exitCode = failed === 0 ? 0 : 1
