import { parseArgs } from 'node:util'

/** What a run against Timestream does. */
export interface E2eOptions {
  /** Of each transport. */
  readonly records: number
  /** Time for which writes that fail are repeated. */
  readonly retrySeconds: number
  /** Instead of the service's own endpoints, and without their discovery. */
  readonly endpoint: string | undefined
  /** The endpoint is on this machine: region and keys of the user are neither needed nor used. */
  readonly local: boolean
}

export type E2eCommand =
  | { readonly kind: 'run'; readonly options: E2eOptions }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'refused'; readonly problems: readonly string[] }

const MAX_RECORDS = 10_000
const DEFAULT_RECORDS = 500
const MAX_RETRY_SECONDS = 3600
const DEFAULT_RETRY_SECONDS = 120

const HELP = `Writes to a real Amazon Timestream, reads it back, and deletes what it made.

  SLUICE_E2E_AWS=1 npm run e2e                  the account, the region and the credentials that the AWS SDK finds
  npm run e2e -- --endpoint http://127.0.0.1:8086   a local server, which costs nothing

  --records N        records that each transport writes, 1 to ${MAX_RECORDS} (default ${DEFAULT_RECORDS})
  --retry-seconds N  time for which a write that fails is repeated, 1 to ${MAX_RETRY_SECONDS} (default ${DEFAULT_RETRY_SECONDS})
  --endpoint URL     write to and read from there; on loopback with the region us-east-1 and keys that say 'local'
  --help             this text

It makes one database with a name of its own. Needed are the rights timestream:DescribeEndpoints, CreateDatabase, CreateTable,
DescribeTable, DescribeDatabase, WriteRecords, Select, DeleteTable and DeleteDatabase.
Exit code: 0 everything was stored and deleted, 1 not, 2 nothing was done. The last line is one JSON object.
`

/** Says what to do: nothing that costs money, unless it was asked for in the environment, and never in CI. */
export function e2eCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): E2eCommand {
  const problems: string[] = []
  const options = {
    records: { type: 'string' },
    'retry-seconds': { type: 'string' },
    endpoint: { type: 'string' },
    help: { type: 'boolean' },
  } as const
  let values: { records?: string; 'retry-seconds'?: string; endpoint?: string; help?: boolean }
  try {
    values = parseArgs({ args: [...args], options }).values
  } catch (error) {
    return { kind: 'refused', problems: [String(error)] }
  }
  if (values.help === true) return { kind: 'help', text: HELP }
  const { endpoint } = values
  const number = (name: 'records' | 'retry-seconds', fallback: number, most: number): number => {
    const text = values[name] ?? String(fallback)
    const value = /^\d{1,5}$/.test(text) ? Number(text) : 0
    if (value < 1 || value > most) problems.push(`--${name} must be a whole number from 1 to ${most}, got '${text}'`)
    return value
  }
  const records = number('records', DEFAULT_RECORDS, MAX_RECORDS)
  const retrySeconds = number('retry-seconds', DEFAULT_RETRY_SECONDS, MAX_RETRY_SECONDS)
  const url = endpoint === undefined ? undefined : URL.parse(endpoint)
  if (url === null) problems.push(`--endpoint must be a URL, got '${endpoint}'`)
  const local = isLoopback(url?.hostname)
  if (!local) {
    if (environment['SLUICE_E2E_AWS'] !== '1') {
      problems.push('this costs money: set SLUICE_E2E_AWS=1 to write to AWS, or use --endpoint with a local server')
    }
    if (environment['CI'] !== undefined && environment['CI'] !== 'false') problems.push('this is never done in CI')
  }
  return problems.length > 0
    ? { kind: 'refused', problems }
    : { kind: 'run', options: { records, retrySeconds, endpoint: url?.origin, local } }
}

function isLoopback(host: string | undefined): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host ?? '')
}
