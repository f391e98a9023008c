// Started by `npm run e2e`.
import { randomBytes } from 'node:crypto'
import { e2eCommand } from './arguments.ts'
import { costOf } from './cost.ts'
import { runE2e } from './run.ts'

const WRITTEN_BY = 2

const command = e2eCommand(process.argv.slice(2), process.env)
if (command.kind === 'help') process.stdout.write(command.text)
else if (command.kind === 'refused') {
  process.stdout.write(`${costOf(1000)}\n`)
  process.stderr.write(`e2e: ${command.problems.join('\n     ')}\nSee --help.\n`)
  process.exitCode = 2
} else {
  const { options } = command
  say(options.endpoint === undefined ? costOf(options.records * WRITTEN_BY * 2) : `endpoint ${options.endpoint}`)
  const database = `sluice_e2e_${Date.now().toString(36)}_${randomBytes(4).toString('hex')}`
  say(`database ${database}; it is deleted at the end`)
  const interrupt = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => interrupt.abort(new Error(`interrupted by ${name}`)))
  }
  const result = await runE2e(options, database, interrupt.signal, say)
  for (const failure of result.failures) say(`failure: ${failure}`)
  say(JSON.stringify(result))
  process.exitCode = result.ok ? 0 : 1
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
