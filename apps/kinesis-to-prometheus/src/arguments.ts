import { parseArgs } from 'node:util'

/** What the demo does; every field has a flag of the same name. */
export interface DemoOptions {
  readonly records: number
  readonly shards: number
  readonly adminPort: number
  readonly verbose: boolean
}

export type Parsed =
  | { readonly kind: 'run'; readonly options: DemoOptions }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'problems'; readonly problems: readonly string[] }

const HELP = `Kinesis to Prometheus: host metrics flow from a Kinesis stream into a Prometheus, and PromQL answers.

  npm run demo:prometheus                       local servers, 2000 records of 20 samples
  npm run demo:prometheus -- --records 10000    more of them: kinesis-local takes about 200 records/s, so some minutes

Options
  --records N      records to produce, 1 to 1000000 (default 2000)
  --shards N       shards of the stream, 1 to 50 (default 2)
  --admin-port N   port for /status, /metrics, /healthz and /readyz on loopback; 0 takes a free one (default 0)
  --verbose        show the job's log lines
  --help           this text

Ctrl-C drains: what was read is written, then the result is shown. A second Ctrl-C stops at once.
The last line of standard output is one JSON object, with "error" when the run failed. Exit code 0: nothing is missing.
`

const FLAGS = {
  records: { type: 'string', default: '2000' },
  shards: { type: 'string', default: '2' },
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
  const number = (name: 'records' | 'shards' | 'admin-port', min: number, max: number): number => {
    const given = values[name]
    const value = Number(given)
    const isText = typeof given === 'string' && given !== ''
    if (isText && (!/^\d+$/.test(given) || value < min || value > max)) {
      problems.push(`--${name} must be an integer from ${min} to ${max}, got '${given}'`)
    }
    return value
  }
  const options: DemoOptions = {
    records: number('records', 1, 1_000_000),
    shards: number('shards', 1, 50),
    adminPort: number('admin-port', 0, 65_535),
    verbose: values.verbose === true,
  }
  return problems.length === 0 ? { kind: 'run', options } : { kind: 'problems', problems }
}
