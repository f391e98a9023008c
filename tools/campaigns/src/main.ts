import { mkdtempSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Campaign, RunOptions } from './campaign.ts'
import { CAMPAIGNS } from './campaigns.ts'
import { HELP, readCommand, UsageError } from './command.ts'

const EXIT = { ok: 0, broken: 1, usage: 2, brokeOff: 3, interrupted: 130 } as const

function list(): string {
  return CAMPAIGNS.map(({ name, summary, pipelines, sabotages }) => {
    const under = pipelines.map((pipeline) => `  pipeline ${pipeline.name}: ${pipeline.summary}\n`).join('')
    return `${name}: ${summary}\n${under}  sabotages: ${sabotages.join(', ')}\n`
  }).join('\n')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function run(campaign: Campaign, options: RunOptions): Promise<number> {
  const { pipeline, seed, size, sabotage } = options
  const what = sabotage === undefined ? '' : `, sabotage ${sabotage}: this run must fail`
  print(`campaign ${campaign.name}, pipeline ${pipeline.name}, seed ${seed}, ${size.faults} ${campaign.faults}${what}`)
  const folder = mkdtempSync(join(tmpdir(), 'sluice-campaign-'))
  const interrupt = new AbortController()
  const onSignal = (signal: NodeJS.Signals): void => interrupt.abort(new Error(`interrupted by ${signal}`))
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  const report = await campaign.run({ ...options, folder, signal: interrupt.signal, print })
  const line = JSON.stringify(report)
  if (report.ok) {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  } else {
    await writeFile(join(folder, 'report.json'), `${line}\n`)
    for (const failure of report.failures) print(`failure: ${failure}`)
    print(`kept: ${folder}`)
  }
  print(line)
  if (interrupt.signal.aborted) return EXIT.interrupted
  if (!report.completed) return EXIT.brokeOff
  return report.ok ? EXIT.ok : EXIT.broken
}

async function main(): Promise<number> {
  const command = readCommand(process.argv.slice(2), CAMPAIGNS)
  if (command.kind === 'run') return run(command.campaign, command.options)
  process.stdout.write(command.kind === 'help' ? HELP : list())
  return EXIT.ok
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`campaign: ${error.problems.join('\n  ')}\nSee --help and --list.\n`)
  process.exitCode = EXIT.usage
}
