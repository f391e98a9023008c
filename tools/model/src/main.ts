import { MUTANTS, VARIANTS } from './catalogue.ts'
import { checkModel, type Outcome, type Plan, type Row } from './check.ts'
import { HELP, readCommand, UsageError } from './command.ts'
import { findTools, ToolsMissing } from './tools.ts'

const EXIT = { ok: 0, broken: 1, usage: 2, toolsMissing: 3, failed: 4, interrupted: 130 } as const

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function list(): void {
  print('variants, which must hold:')
  for (const { name, summary, deep } of VARIANTS) print(`  ${name.padEnd(26)} ${summary}${deep ? ' (--deep)' : ''}`)
  print('mutants, which must be refuted:')
  for (const { name, summary, breaks } of MUTANTS) print(`  ${name.padEnd(26)} ${summary}: ${breaks}`)
}

function columns(name: string, states: string, depth: string, seconds: string, total: string, verdict: string): string {
  return `${name.padEnd(26)} ${states.padStart(10)} ${depth.padStart(6)} ${seconds.padStart(8)} ${total.padStart(8)}  ${verdict}`
}

function printRow({ name, verdict, result }: Row): void {
  const { states, depth, seconds, totalSeconds } = result
  print(columns(name, String(states), String(depth), seconds.toFixed(1), totalSeconds.toFixed(1), verdict.text))
  for (const line of result.trail ?? []) print(`    ${line}`)
}

function jsonLine({ rows, failures }: Outcome, spin: string, startedAt: number): string {
  const of = (kind: Row['kind']): readonly Row[] => rows.filter((row) => row.kind === kind)
  return JSON.stringify({
    ok: failures.length === 0,
    variants: of('variant').length,
    holding: of('variant').filter(({ verdict }) => verdict.ok).length,
    mutants: of('mutant').length,
    refuted: of('mutant').filter(({ verdict }) => verdict.ok).length,
    states: of('variant').reduce((sum, { result }) => sum + result.states, 0),
    seconds: Math.round((performance.now() - startedAt) / 100) / 10,
    spin,
    failures,
  })
}

async function run(plan: Plan): Promise<number> {
  const startedAt = performance.now()
  const tools = findTools(true)
  const interrupt = new AbortController()
  const onSignal = (): void => interrupt.abort()
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  print(`${tools.spinVersion}, ${plan.variants.length} variants, ${plan.mutants.length} mutants`)
  print(columns('', 'states', 'depth', 'search s', 'total s', 'verdict'))
  try {
    const outcome = await checkModel(tools, plan, interrupt.signal, printRow)
    for (const failure of outcome.failures) print(`failure: ${failure}`)
    print(jsonLine(outcome, tools.spinVersion, startedAt))
    return outcome.failures.length === 0 ? EXIT.ok : EXIT.broken
  } catch (error) {
    if (interrupt.signal.aborted) return EXIT.interrupted
    throw error
  }
}

async function main(): Promise<number> {
  const command = readCommand(process.argv.slice(2))
  if (command.kind === 'run') return run(command)
  if (command.kind === 'list') list()
  else process.stdout.write(HELP)
  return EXIT.ok
}

try {
  process.exitCode = await main()
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`model: ${message}\n`)
  if (error instanceof UsageError) process.stderr.write('See --help and --list.\n')
  process.exitCode = EXIT.failed
  if (error instanceof UsageError) process.exitCode = EXIT.usage
  if (error instanceof ToolsMissing) process.exitCode = EXIT.toolsMissing
}
