import { parseArgs } from 'node:util'

/** What the demo does; every field has a flag of the same name. */
export interface DemoOptions {
  readonly records: number
  readonly shards: number
  readonly collisions: number
  readonly stream: string
  readonly database: string
  readonly table: string
  readonly aws: boolean
  readonly create: boolean
  readonly state: string | undefined
  readonly adminPort: number
  readonly verbose: boolean
}

export type Parsed =
  | { readonly kind: 'run'; readonly options: DemoOptions }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'problems'; readonly problems: readonly string[] }

const HELP = `Kinesis to Timestream: host metrics and events flow from a Kinesis stream into a Timestream table.

  npm run demo                       local servers, 5000 records
  npm run demo -- --records 20000    more of them: kinesis-local takes about 200 records/s, so some minutes
  npm run demo -- --aws --stream S --database D --table T
                                     the same against AWS (region and credentials as the AWS SDK finds them)

Options
  --records N      records to produce, 1 to 10000000 (default 5000)
  --shards N       shards of a stream that the demo creates, 1 to 50 (default 2)
  --collisions N   records that share dimensions, measure name and time with another but not its values: Timestream keeps
                   the first of each pair, the second is dropped and shown as missing (default 0)
  --stream NAME    Kinesis stream (default TimestreamTestStream)
  --database NAME  Timestream database (default kdaflink)
  --table NAME     Timestream table (default kinesisdata)
  --aws            write to AWS instead of local servers; costs money
  --create         with --aws: create stream, database and table when they are missing
  --state FOLDER   with --aws: keep checkpoints there, so that the next run goes on (default: a temporary folder)
  --admin-port N   port for /status, /metrics, /healthz and /readyz on loopback; 0 takes a free one (default 0)
  --verbose        show the job's log lines
  --help           this text

Ctrl-C drains: what was read is written, then the result is shown. A second Ctrl-C stops at once.
The last line of standard output is one JSON object, with "error" when the run failed. Exit code 0: nothing is missing.
`

const FLAGS = {
  records: { type: 'string', default: '5000' },
  shards: { type: 'string', default: '2' },
  collisions: { type: 'string', default: '0' },
  stream: { type: 'string', default: 'TimestreamTestStream' },
  database: { type: 'string', default: 'kdaflink' },
  table: { type: 'string', default: 'kinesisdata' },
  aws: { type: 'boolean', default: false },
  create: { type: 'boolean', default: false },
  state: { type: 'string' },
  'admin-port': { type: 'string', default: '0' },
  verbose: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

/** Reads the command line; all problems at once. */
export function parseArguments(args: readonly string[]): Parsed {
  const { values, tokens } = parseArgs({
    args: [...args],
    options: FLAGS,
    strict: false,
    tokens: true,
    allowPositionals: true,
  })
  const problems: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') problems.push(`unexpected argument '${token.value}'`)
    if (token.kind !== 'option') continue
    const flag = Object.entries(FLAGS).find(([name]) => name === token.name)?.[1]
    if (flag === undefined) problems.push(`unknown option '${token.rawName}'`)
    else if (flag.type === 'string' && (token.value === undefined || token.value === '')) {
      problems.push(`${token.rawName} needs a value`)
    } else if (flag.type === 'boolean' && token.value !== undefined) {
      problems.push(`${token.rawName} takes no value, got '${token.value}'`)
    }
  }
  if (values.help === true) return { kind: 'help', text: HELP }
  const number = (name: 'records' | 'shards' | 'collisions' | 'admin-port', min: number, max: number): number => {
    const value = Number(values[name])
    const text = String(values[name])
    if (!/^\d+$/.test(text) || value < min || value > max) {
      if (typeof values[name] === 'string' && text !== '') {
        problems.push(`--${name} must be an integer from ${min} to ${max}, got '${text}'`)
      }
    }
    return value
  }
  const word = (name: 'stream' | 'database' | 'table'): string => {
    const value = String(values[name])
    if (typeof values[name] === 'string' && value !== '' && !/^[A-Za-z0-9_.-]{3,128}$/.test(value)) {
      problems.push(`--${name} must be 3 to 128 letters, digits, '_', '.' and '-', got '${value}'`)
    }
    return value
  }
  const options: DemoOptions = {
    records: number('records', 1, 10_000_000),
    shards: number('shards', 1, 50),
    collisions: number('collisions', 0, 10_000_000),
    stream: word('stream'),
    database: word('database'),
    table: word('table'),
    aws: values.aws === true,
    create: values.create === true,
    state: typeof values.state === 'string' && values.state !== '' ? values.state : undefined,
    adminPort: number('admin-port', 0, 65_535),
    verbose: values.verbose === true,
  }
  if (options.state !== undefined && !options.aws) {
    problems.push('--state goes with --aws: a local stream is new in each run, and so are its positions')
  }
  if (options.create && !options.aws)
    problems.push('--create goes with --aws: local servers always create what is missing')
  if (problems.length === 0 && options.collisions > Math.floor(options.records / 4) * 2) {
    problems.push(
      `--collisions must be at most ${Math.floor(options.records / 4) * 2} for ${options.records} --records, got ${options.collisions}`,
    )
  }
  return problems.length === 0 ? { kind: 'run', options } : { kind: 'problems', problems }
}
