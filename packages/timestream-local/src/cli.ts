#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { HELP, readCommand } from './arguments.ts'
import { TimestreamLocalError } from './errors.ts'
import type { Logger } from './options.ts'
import { startTimestreamLocal, type TimestreamLocal } from './server.ts'

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

const CHECKED = 'Signatures are checked against the keys of --credentials.'
const NOT_CHECKED = `Credentials are needed by the clients and not checked here:
  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local`

function greeting(server: TimestreamLocal, temporary: boolean, checked: boolean): string {
  return `timestream-local listens on ${server.endpoint}
Data: ${server.dataDir}${temporary ? ' (temporary: removed at the end; keep data with --data <folder>)' : ''}

AWS SDK for JavaScript:
  new TimestreamWriteClient({ endpoint: '${server.endpoint}', region: 'us-east-1' })
  new TimestreamQueryClient({ endpoint: '${server.endpoint}', region: 'us-east-1' })
AWS CLI:
  aws timestream-write list-databases --endpoint-url ${server.endpoint} --region us-east-1
${checked ? CHECKED : NOT_CHECKED}
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
  process.stdout.write(
    greeting(server, command.options.dataDir === undefined, command.options.credentials !== undefined),
  )
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
