// `npm run api`: brings the API reports up to date with the built declarations.
import { reportAll } from './checks/api.ts'
import { ROOT } from './workspace.ts'

const problems = reportAll(ROOT, 'update')
for (const problem of problems) console.error(problem)
process.exitCode = problems.length === 0 ? 0 : 1
