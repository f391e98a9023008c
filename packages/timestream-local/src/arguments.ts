import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { TimestreamLocalError } from './errors.ts'
import type { FaultOptions } from './faults.ts'
import { resolveOptions, type TimestreamLocalOptions } from './options.ts'
import type { LocalCredentials } from './signature.ts'

const DEFAULT_PORT = 8086
export const HELP: string = `timestream-local: Amazon Timestream for LiveAnalytics on your own machine

Usage: timestream-local [options]

  --port <number>             TCP port; 0 takes a free one (default ${DEFAULT_PORT})
  --host <address>            address to listen on (default 127.0.0.1)
  --data <folder>             folder of the journal (default: a temporary one, removed at the end)
  --discard                   count the records of WriteRecords requests and keep nothing; checked is only what
                              refuses a whole request: no record is rejected but by a reject fault
  --max-request-bytes <n>     largest request body in bytes (default 5242880)
  --query-timeout-ms <n>      time for a query to run in ms (default 60000)
  --credentials <file>        check signatures against the keys in a JSON file:
                              [{"accessKeyId": "...", "secretAccessKey": "...",
                                "sessionToken": "...", "expiresAt": "2030-01-01T00:00:00Z"}]
  --require-discovery         refuse clients that did not ask DescribeEndpoints
  --endpoint-ttl-minutes <n>  time for which its answer may be used, 1 to 1440 (default 1440)
  --fault <kind>[,name=value]...
                              inject a fault; may be given more than once. Kinds: throttle, fail, delay,
                              cutBeforeApply, cutAfterApply, reject, expireCredentials. Names: operation
                              (default WriteRecords), times, probability, seed, delayMs (delay
                              needs it), errorType, message, records (indexes, as in records=0:7)
  --help                      print this help
  --version                   print the version

Fault switches and counters over HTTP: GET /_local/status, POST and DELETE /_local/faults.
SIGINT or SIGTERM ends it.
`

/** Command line name of each option with a value, and the library option that it sets. */
const OPTIONS = {
  port: 'port',
  host: 'host',
  data: 'dataDir',
  'max-request-bytes': 'maxRequestBytes',
  'query-timeout-ms': 'queryTimeoutMs',
  'endpoint-ttl-minutes': 'endpointTtlMinutes',
  credentials: 'credentials',
  fault: 'faults',
} as const
const FLAGS = { discard: 'discard', 'require-discovery': 'requireDiscovery' } as const
const NUMERIC: ReadonlySet<string> = new Set(['port', 'max-request-bytes', 'query-timeout-ms', 'endpoint-ttl-minutes'])
const NUMERIC_OF_FAULT: ReadonlySet<string> = new Set(['times', 'probability', 'seed', 'delayMs'])

export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'start'; readonly options: TimestreamLocalOptions }

/** Reads the command line. Throws a TimestreamLocalError with every problem. */
export function readCommand(args: readonly string[]): Command {
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    options: {
      ...Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, { type: 'string' as const }])),
      ...Object.fromEntries(Object.keys(FLAGS).map((name) => [name, { type: 'boolean' as const }])),
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
    },
  })
  const problems: string[] = []
  const values: Record<string, unknown> = { port: DEFAULT_PORT }
  const faults: FaultOptions[] = []
  let flag: 'help' | 'version' | undefined
  for (const token of tokens) {
    if (token.kind === 'positional') problems.push(`Unknown argument: ${token.value}.`)
    if (token.kind !== 'option') continue
    const { name, rawName, value } = token
    if (Object.hasOwn(FLAGS, name) || name === 'help' || name === 'version') {
      if (value !== undefined) problems.push(`${rawName} takes no value; got ${JSON.stringify(value)}.`)
      else if (name === 'help' || name === 'version') flag ??= name
      else values[FLAGS[name as keyof typeof FLAGS]] = true
    } else if (!Object.hasOwn(OPTIONS, name)) problems.push(`Unknown option: ${rawName}.`)
    else if (value === undefined || value.startsWith('--')) problems.push(`${rawName} needs a value.`)
    else if (name === 'fault') faults.push(readFault(value, problems))
    else if (name === 'credentials') values['credentials'] = readCredentials(value, problems)
    else if (!NUMERIC.has(name)) values[OPTIONS[name as keyof typeof OPTIONS]] = value
    else if (/^\d+$/.test(value)) values[OPTIONS[name as keyof typeof OPTIONS]] = Number(value)
    else problems.push(`${rawName} must be a whole number; got ${JSON.stringify(value)}.`)
  }
  if (flag !== undefined && problems.length === 0) return { kind: flag }
  if (faults.length > 0) values['faults'] = faults
  try {
    resolveOptions(values)
  } catch (error) {
    if (!TimestreamLocalError.isInstance(error)) throw error
    problems.push(...error.problems)
  }
  if (problems.length > 0) throw new TimestreamLocalError('TIMESTREAM_LOCAL_OPTIONS', problems)
  return { kind: 'start', options: values }
}

/** `throttle,operation=Query,times=3`; the values themselves are checked with the other options. */
function readFault(text: string, problems: string[]): FaultOptions {
  const [kind = '', ...pairs] = text.split(',')
  const options: Record<string, unknown> = { kind, operation: 'WriteRecords' }
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    const name = pair.slice(0, Math.max(at, 0))
    const value = pair.slice(at + 1)
    if (at < 1 || value === '') problems.push(`--fault: ${JSON.stringify(pair)} must have the form name=value.`)
    else if (name === 'records') options[name] = value.split(':').map(Number)
    else options[name] = NUMERIC_OF_FAULT.has(name) ? Number(value) : value
  }
  return options as unknown as FaultOptions
}

function readCredentials(path: string, problems: string[]): readonly LocalCredentials[] | undefined {
  let json: unknown
  try {
    json = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    // A SyntaxError quotes the text, which may be a secret.
    const why = error instanceof SyntaxError ? 'it is not valid JSON' : (error as Error).message
    problems.push(`--credentials: ${path} cannot be read: ${why}.`)
    return undefined
  }
  if (!Array.isArray(json)) return json as readonly LocalCredentials[]
  // What is no key stays as it is: it is checked with the other options.
  return (json as readonly LocalCredentials[]).map((key: LocalCredentials | null) =>
    typeof key?.expiresAt === 'string' ? { ...key, expiresAt: new Date(key.expiresAt) } : key,
  ) as readonly LocalCredentials[]
}
