import { readFileSync } from 'node:fs'
import { messageOf } from '../errors.ts'
import { checkpointsList } from './checkpoints-list.ts'
import { checkpointsReset } from './checkpoints-reset.ts'
import { checkpointsShow } from './checkpoints-show.ts'
import { type Command, EXIT, tell, UsageError } from './command.ts'
import { dlqReplay } from './dlq-replay.ts'
import { dlqShow } from './dlq-show.ts'

const COMMANDS: readonly Command[] = [checkpointsList, checkpointsShow, checkpointsReset, dlqShow, dlqReplay]

/** Runs one command line and gives its exit code. Never rejects. */
export async function main(args: readonly string[]): Promise<number> {
  watchOutput()
  const command = COMMANDS.find(({ name }) => args.slice(0, name.split(' ').length).join(' ') === name)
  const isHelp = args.includes('--help') || args.includes('-h')
  if (command === undefined) return withoutCommand(args, isHelp)
  if (isHelp) {
    process.stdout.write(`${command.help}\n`)
    return EXIT.ok
  }
  try {
    return await command.run(args.slice(command.name.split(' ').length))
  } catch (error) {
    tell(`sluice ${command.name}: ${messageOf(error)}`)
    if (!(error instanceof UsageError)) return EXIT.failed
    tell(`See: sluice ${command.name} --help`)
    return EXIT.usage
  }
}

function withoutCommand(args: readonly string[], isHelp: boolean): number {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length))
  const list = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')
  const help = `Usage: sluice <command> [options]\n\n${list}\n\nsluice <command> --help says more, sluice --version which version this is.\n`
  if (isHelp) {
    process.stdout.write(help)
    return EXIT.ok
  }
  if (args.length === 1 && args[0] === '--version') {
    process.stdout.write(`${version()}\n`)
    return EXIT.ok
  }
  if (args.length > 0) tell(`sluice: there is no command '${args.slice(0, 2).join(' ')}'`)
  process.stderr.write(help)
  return EXIT.usage
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return String((JSON.parse(text) as { readonly version?: unknown }).version)
}

/** `sluice dlq show ... | head` closes the pipe when it has enough: that is no failure. What is told may go unread. */
function watchOutput(): void {
  process.stderr.on('error', () => {})
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok)
    tell(`sluice: the output cannot be written: ${error.message}`)
    process.exit(EXIT.failed)
  })
}
