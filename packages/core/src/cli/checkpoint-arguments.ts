import { parseArgs } from 'node:util'
import { UsageError } from './command.ts'

type ValueName = 'job' | 'id' | 'to'
type FlagName = 'json' | 'yes'

export interface CheckpointArguments {
  /** What `fileCheckpoints()` was given. */
  readonly folder: string
  readonly job: string | undefined
  /** Of `--id` or `--to`. */
  readonly id: number | undefined
  readonly flags: ReadonlySet<FlagName>
}

/** Options that a command takes. */
export interface Accepted {
  readonly values: readonly ValueName[]
  readonly flags: readonly FlagName[]
}

const JOB = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/

/** Reads the arguments of a command on checkpoints. @throws UsageError with every problem, one a line. */
export function readArguments(args: readonly string[], accepted: Accepted): CheckpointArguments {
  return read(args, accepted, false)
}

/** As {@link readArguments}, of a command that needs `--job`. */
export function readJobArguments(
  args: readonly string[],
  accepted: Accepted,
): CheckpointArguments & { readonly job: string } {
  const { job = '', ...rest } = read(args, accepted, true)
  return { ...rest, job }
}

function read(args: readonly string[], accepted: Accepted, needsJob: boolean): CheckpointArguments {
  const problems: string[] = []
  const folders: string[] = []
  const values = new Map<ValueName, string>()
  const flags = new Set<FlagName>()
  const known = [...accepted.values, ...accepted.flags].map((name) => `--${name}`).join(', ')
  const options = Object.fromEntries(accepted.values.map((name) => [name, { type: 'string' as const }]))
  for (const token of parseArgs({ args: [...args], options, strict: false, tokens: true }).tokens) {
    if (token.kind === 'positional') folders.push(token.value)
    if (token.kind !== 'option') continue
    const { name, rawName, value } = token
    const flag = accepted.flags.find((each) => each === name)
    const option = accepted.values.find((each) => each === name)
    if (flag !== undefined && value === undefined) flags.add(flag)
    else if (flag !== undefined) problems.push(`${rawName} takes no value, got ${JSON.stringify(value)}`)
    else if (option === undefined) problems.push(`there is no option ${rawName}; there are: ${known}`)
    else if (value === undefined || value === '' || value.startsWith('--')) problems.push(`${rawName} needs a value`)
    else if (values.has(option)) problems.push(`${rawName} is given twice`)
    else values.set(option, value)
  }
  const [folder, ...more] = folders
  if (folder === undefined || folder === '') problems.push('a folder of checkpoints is needed')
  if (more.length > 0) problems.push(`one folder is expected, got also: ${more.join(' ')}`)
  if (needsJob && !values.has('job') && !problems.some((problem) => problem.startsWith('--job '))) {
    problems.push('--job is needed')
  }
  const job = values.get('job')
  if (job !== undefined && !JOB.test(job)) {
    problems.push(`--job must be the name of a job, got ${JSON.stringify(job)}`)
  }
  const id = idOf(values, problems)
  if (problems.length > 0 || folder === undefined) throw new UsageError(problems.join('\n'))
  return { folder, job, id, flags }
}

function idOf(values: ReadonlyMap<ValueName, string>, problems: string[]): number | undefined {
  for (const name of ['id', 'to'] as const) {
    const given = values.get(name)
    if (given === undefined) continue
    if (/^[1-9]\d{0,14}$/.test(given)) return Number(given)
    problems.push(`--${name} must be a positive whole number, got ${JSON.stringify(given)}`)
  }
  return undefined
}
