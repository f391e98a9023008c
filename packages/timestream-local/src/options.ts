import { TimestreamLocalError } from './errors.ts'
import { faultProblems, type FaultOptions } from './faults.ts'
import type { LocalCredentials } from './signature.ts'

/** Where the server reports what it does. Shaped as pino's, so a pino logger fits; `console` does not. */
export interface Logger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Options of `startTimestreamLocal`. */
export interface TimestreamLocalOptions {
  /** TCP port, 0 to 65535; 0 takes a free one. @default 0 */
  readonly port?: number
  /** Address to listen on. Unless `credentials` are given, nothing checks who writes: listen beyond loopback only where everybody may. @default '127.0.0.1' */
  readonly host?: string
  /** Folder of the journal; made when missing. Without it a temporary folder is used and removed at close. */
  readonly dataDir?: string
  /** Largest request body in bytes, 1 KiB to 64 MiB; a larger one is answered with 413. @default 5_242_880 (5 MiB) */
  readonly maxRequestBytes?: number
  /** Time for a request to arrive whole, 1 s to 10 min, in ms. @default 60_000 */
  readonly requestTimeoutMs?: number
  /** Time for a query to run, 100 ms to 1 h, in ms; then it is interrupted. @default 60_000 */
  readonly queryTimeoutMs?: number
  /** Memory for DuckDB in bytes, 64 MiB to 1 TiB. @default 1_073_741_824 (1 GiB) */
  readonly queryMemoryBytes?: number
  /** Receives starts, damage that was repaired, and failures; nothing is logged without it. */
  readonly logger?: Logger
  /**
   * Counts the records of WriteRecords requests and keeps nothing of them. Checked is only what refuses a whole request: no
   * record is rejected but by a `reject` fault. @default false
   */
  readonly discard?: boolean
  /** Keys that may sign requests; every request must then carry a valid Signature Version 4. @default no check */
  readonly credentials?: readonly LocalCredentials[]
  /** Refuses requests of clients that did not ask DescribeEndpoints within `endpointTtlMinutes`. @default false */
  readonly requireDiscovery?: boolean
  /** Time in minutes for which DescribeEndpoints says that its answer may be used, 1 to 1440. @default 1440 */
  readonly endpointTtlMinutes?: number
  /** Faults that are in force from the start. */
  readonly faults?: readonly FaultOptions[]
}

export interface ResolvedOptions {
  readonly port: number
  readonly host: string
  readonly dataDir: string | undefined
  readonly maxRequestBytes: number
  readonly requestTimeoutMs: number
  readonly queryTimeoutMs: number
  readonly queryMemoryBytes: number
  readonly logger: Logger | undefined
  readonly discard: boolean
  readonly credentials: readonly LocalCredentials[] | undefined
  readonly requireDiscovery: boolean
  readonly endpointTtlMinutes: number
  readonly faults: readonly FaultOptions[]
}

const NUMBERS = {
  port: { min: 0, max: 65_535, default: 0 },
  maxRequestBytes: { min: 1024, max: 64 * 1_048_576, default: 5 * 1_048_576 },
  requestTimeoutMs: { min: 1000, max: 600_000, default: 60_000 },
  queryTimeoutMs: { min: 100, max: 3_600_000, default: 60_000 },
  queryMemoryBytes: { min: 64 * 1_048_576, max: 1024 ** 4, default: 1024 ** 3 },
  endpointTtlMinutes: { min: 1, max: 1440, default: 1440 },
} as const

const KNOWN: ReadonlySet<string> = new Set([
  ...Object.keys(NUMBERS),
  'host',
  'dataDir',
  'logger',
  'discard',
  'credentials',
  'requireDiscovery',
  'faults',
])

/** Checks all options and reports every problem at once. */
export function resolveOptions(options: TimestreamLocalOptions): ResolvedOptions {
  const problems: string[] = []
  for (const name of Object.keys(options)) if (!KNOWN.has(name)) problems.push(`Unknown option: ${name}.`)
  const number = (name: keyof typeof NUMBERS): number => {
    const { min, max, default: fallback } = NUMBERS[name]
    const value: unknown = options[name] ?? fallback
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    problems.push(`${name} must be a whole number from ${min} to ${max}; got ${show(value)}.`)
    return fallback
  }
  const text = (name: 'host' | 'dataDir'): string | undefined => {
    const value: unknown = options[name]
    if (value === undefined || (typeof value === 'string' && value !== '')) return value
    problems.push(`${name} must be a string that is not empty; got ${show(value)}.`)
    return undefined
  }
  const flag = (name: 'discard' | 'requireDiscovery'): boolean => {
    const value: unknown = options[name] ?? false
    if (typeof value === 'boolean') return value
    problems.push(`${name} must be true or false; got ${show(value)}.`)
    return false
  }
  const logger: unknown = options.logger
  if (logger !== undefined && (typeof logger !== 'object' || logger === null || !('error' in logger))) {
    problems.push(`logger must have the methods info, warn and error; got ${show(logger)}.`)
  }
  const resolved: ResolvedOptions = {
    port: number('port'),
    host: text('host') ?? '127.0.0.1',
    dataDir: text('dataDir'),
    maxRequestBytes: number('maxRequestBytes'),
    requestTimeoutMs: number('requestTimeoutMs'),
    queryTimeoutMs: number('queryTimeoutMs'),
    queryMemoryBytes: number('queryMemoryBytes'),
    logger: options.logger,
    discard: flag('discard'),
    credentials: checkedCredentials(options.credentials, problems),
    requireDiscovery: flag('requireDiscovery'),
    endpointTtlMinutes: number('endpointTtlMinutes'),
    faults: checkedFaults(options.faults, problems),
  }
  if (problems.length > 0) throw new TimestreamLocalError('TIMESTREAM_LOCAL_OPTIONS', problems)
  return resolved
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function checkedCredentials(value: unknown, problems: string[]): readonly LocalCredentials[] | undefined {
  if (value === undefined) return undefined
  if (!Array.isArray(value) || value.length === 0) {
    problems.push('credentials must be a list with at least one key.')
    return undefined
  }
  const taken = new Set<unknown>()
  for (const [index, key] of (value as (Partial<Record<keyof LocalCredentials, unknown>> | null)[]).entries()) {
    if (typeof key !== 'object' || key === null) {
      problems.push(`credentials[${index}] must be an object.`)
      continue
    }
    // A value may be a secret: it is not shown.
    const wrong = (name: keyof LocalCredentials, rule: string): void => {
      problems.push(`credentials[${index}].${name} must be ${rule}.`)
    }
    if (!isText(key.accessKeyId) || /[\s,/]/.test(String(key.accessKeyId))) {
      wrong('accessKeyId', 'a string without spaces, commas and slashes')
    }
    if (!isText(key.secretAccessKey)) wrong('secretAccessKey', 'a string that is not empty')
    if (key.sessionToken !== undefined && !isText(key.sessionToken)) wrong('sessionToken', 'a string that is not empty')
    if (key.expiresAt !== undefined && !(key.expiresAt instanceof Date && !Number.isNaN(key.expiresAt.getTime()))) {
      wrong('expiresAt', 'a valid Date')
    }
    if (taken.has(key.accessKeyId)) wrong('accessKeyId', 'different from those of the other keys')
    taken.add(key.accessKeyId)
  }
  return value as readonly LocalCredentials[]
}

function checkedFaults(value: unknown, problems: string[]): readonly FaultOptions[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) {
    problems.push('faults must be a list.')
    return []
  }
  for (const [index, fault] of (value as readonly FaultOptions[]).entries()) {
    problems.push(...faultProblems(fault).map((problem) => `faults[${index}]: ${problem}`))
  }
  return value as readonly FaultOptions[]
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return `${text.slice(0, 80)} (${typeof value})`
}
