#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { TimestreamLocalError } from './errors.ts'
import { resolveOptions, type Logger, type TimestreamLocalOptions } from './options.ts'
import { startTimestreamLocal, type TimestreamLocal } from './server.ts'

const DEFAULT_PORT = 8086
const HELP = `timestream-local: Amazon Timestream for LiveAnalytics on your own machine

Usage: timestream-local [options]

  --port <number>          TCP port; 0 takes a free one (default ${DEFAULT_PORT})
  --host <address>         address to listen on (default 127.0.0.1)
  --data <folder>          folder of the journal (default: a temporary one, removed at the end)
  --max-request-bytes <n>  largest request body in bytes (default 5242880)
  --query-timeout-ms <n>   time for a query to run in ms (default 60000)
  --help                   print this help
  --version                print the version

SIGINT or SIGTERM ends it.
`

/** Command line name of each option, and the library option that it sets. */
const OPTIONS = {
  port: 'port',
  host: 'host',
  data: 'dataDir',
  'max-request-bytes': 'maxRequestBytes',
  'query-timeout-ms': 'queryTimeoutMs',
} as const
const NUMERIC: ReadonlySet<string> = new Set(['port', 'max-request-bytes', 'query-timeout-ms'])

type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'start'; readonly options: TimestreamLocalOptions }

/** Reads the command line. Throws a TimestreamLocalError with every problem. */
function readCommand(args: readonly string[]): Command {
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    options: {
      ...Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, { type: 'string' as const }])),
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
    },
  })
  const problems: string[] = []
  const values: Record<string, string | number> = { port: DEFAULT_PORT }
  let flag: 'help' | 'version' | undefined
  for (const token of tokens) {
    if (token.kind === 'positional') problems.push(`Unknown argument: ${token.value}.`)
    if (token.kind !== 'option') continue
    const { name, rawName, value } = token
    if (name === 'help' || name === 'version') flag ??= name
    else if (!(name in OPTIONS)) problems.push(`Unknown option: ${rawName}.`)
    else if (value === undefined || value.startsWith('--')) problems.push(`${rawName} needs a value.`)
    else if (!NUMERIC.has(name)) values[OPTIONS[name as keyof typeof OPTIONS]] = value
    else if (/^\d+$/.test(value)) values[OPTIONS[name as keyof typeof OPTIONS]] = Number(value)
    else problems.push(`${rawName} must be a whole number; got ${JSON.stringify(value)}.`)
  }
  if (flag !== undefined && problems.length === 0) return { kind: flag }
  try {
    resolveOptions(values)
  } catch (error) {
    if (!TimestreamLocalError.isInstance(error)) throw error
    problems.push(...error.problems)
  }
  if (problems.length > 0) throw new TimestreamLocalError('TIMESTREAM_LOCAL_OPTIONS', problems)
  return { kind: 'start', options: values }
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return String((JSON.parse(text) as { readonly version?: unknown }).version)
}

const stderrLogger: Logger = {
  info: () => undefined,
  warn: (fields, message) => void process.stderr.write(`warning: ${message}${causeOf(fields)}\n`),
  error: (fields, message) => void process.stderr.write(`error: ${message}${causeOf(fields)}\n`),
}

function causeOf(fields: object): string {
  return 'error' in fields ? `: ${fields.error instanceof Error ? fields.error.message : String(fields.error)}` : ''
}

function greeting(server: TimestreamLocal, temporary: boolean): string {
  return `timestream-local listens on ${server.endpoint}
Data: ${server.dataDir}${temporary ? ' (temporary: removed at the end; keep data with --data <folder>)' : ''}

AWS SDK for JavaScript:
  new TimestreamWriteClient({ endpoint: '${server.endpoint}', region: 'us-east-1' })
  new TimestreamQueryClient({ endpoint: '${server.endpoint}', region: 'us-east-1' })
AWS CLI:
  aws timestream-write list-databases --endpoint-url ${server.endpoint} --region us-east-1
Credentials are needed by the clients and not checked here:
  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local
`
}

async function main(): Promise<void> {
  const command = readCommand(process.argv.slice(2))
  if (command.kind === 'help') return void process.stdout.write(HELP)
  if (command.kind === 'version') return void process.stdout.write(`${version()}\n`)
  const server = await startTimestreamLocal({ ...command.options, logger: stderrLogger })
  const end = (): void => {
    server.close().catch(fail)
  }
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  process.stdout.write(greeting(server, command.options.dataDir === undefined))
}

function fail(error: unknown): void {
  const known = TimestreamLocalError.isInstance(error)
  const lines = known ? error.problems : [error instanceof Error ? (error.stack ?? error.message) : String(error)]
  const usage = known && error.code === 'TIMESTREAM_LOCAL_OPTIONS'
  process.stderr.write(
    `timestream-local: ${lines.join('\n  ')}\n${usage ? 'Run timestream-local --help for the options.\n' : ''}`,
  )
  process.exitCode = usage ? 2 : 1
}

main().catch(fail)
