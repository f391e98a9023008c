import { parseArgs } from 'node:util'
import type { Campaign, RunOptions, Size } from './campaign.ts'

export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'list' }
  | { readonly kind: 'run'; readonly campaign: Campaign; readonly options: RunOptions }

/** Everything that is wrong with a command line. */
export class UsageError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'UsageError'
    this.problems = problems
  }
}

const VALUES = ['pipeline', 'seed', 'faults', 'records', 'minutes', 'sabotage'] as const
const FLAGS = ['quick', 'list', 'help'] as const
type ValueName = (typeof VALUES)[number]
type FlagName = (typeof FLAGS)[number]
const MAX_SEED = 0xffff_ffff
const MAX_MINUTES = 120

export const HELP = `Fault campaigns: real processes, real servers, an independent checker

Usage: npm run campaign -- NAME [options]

  --pipeline <name>   pipeline to put under faults (default: the campaign's first)
  --seed <n>          0 to ${MAX_SEED}: chooses the data and the faults (default: a random one, printed)
  --faults <n>        faults to plan: kills, signals, jumps (default: the campaign's)
  --records <n>       records to produce, at least (default: the campaign's)
  --minutes <n>       1 to 120: how long a campaign lasts that goes by time (default: the campaign's)
  --quick             a short run, for CI
  --sabotage <name>   break one promise on purpose: the campaign must then fail
  --list              list campaigns, their pipelines and sabotages
  --help              print this help

Exit code: 0 every rule was kept, 1 one was not, 2 wrong arguments,
3 the run broke off, 130 interrupted.
The last line is one JSON object with all figures.
`

/** Reads a command line. @throws UsageError with every problem at once. */
export function readCommand(args: readonly string[], campaigns: readonly Campaign[]): Command {
  const { names, values, flags, problems } = tokens(args)
  if (problems.length === 0 && flags.has('help')) return { kind: 'help' }
  if (problems.length === 0 && flags.has('list')) return { kind: 'list' }
  const known = `known campaigns: ${campaigns.map(({ name }) => name).join(', ')}`
  const [name, ...more] = names
  if (name === undefined) problems.push(`a campaign is needed; ${known}`)
  if (more.length > 0) problems.push(`only one campaign at a time, got also ${more.join(', ')}`)
  const campaign = campaigns.find((each) => each.name === name)
  if (name !== undefined && campaign === undefined) problems.push(`unknown campaign '${name}'; ${known}`)
  const number = (option: ValueName, max: number): number | undefined => {
    const text = values.get(option)
    if (text === undefined) return undefined
    if (/^\d{1,10}$/.test(text) && Number(text) <= max) return Number(text)
    problems.push(`--${option} must be a whole number from 0 to ${max}, got '${text}'`)
    return undefined
  }
  const seed = number('seed', MAX_SEED) ?? Math.trunc(Math.random() * MAX_SEED)
  const faults = number('faults', 10_000)
  const records = number('records', 10_000_000)
  if (campaign === undefined) throw new UsageError(problems)
  const base = flags.has('quick') ? campaign.quick : campaign.full
  const minutes = number('minutes', MAX_MINUTES) ?? base.minutes
  if (minutes === 0) problems.push('--minutes must be at least 1, got 0')
  if (minutes !== undefined && base.minutes === undefined) problems.push(`${campaign.name} does not go by --minutes`)
  const size: Size = {
    faults: faults ?? base.faults,
    records: records ?? base.records,
    ...(minutes === undefined ? {} : { minutes }),
  }
  const wanted = values.get('pipeline')
  const pipeline =
    wanted === undefined ? campaign.pipelines[0] : campaign.pipelines.find((each) => each.name === wanted)
  if (pipeline === undefined) {
    const there = campaign.pipelines.map((each) => each.name).join(', ')
    problems.push(`unknown pipeline '${wanted}'; known pipelines of ${campaign.name}: ${there}`)
  } else problems.push(...campaign.problems(size, pipeline))
  const sabotage = values.get('sabotage')
  if (sabotage !== undefined && !campaign.sabotages.includes(sabotage)) {
    problems.push(
      `unknown sabotage '${sabotage}'; known sabotages of ${campaign.name}: ${campaign.sabotages.join(', ')}`,
    )
  }
  if (problems.length > 0 || pipeline === undefined) throw new UsageError(problems)
  return { kind: 'run', campaign, options: { pipeline, seed, size, sabotage } }
}

interface Tokens {
  readonly names: string[]
  readonly values: Map<ValueName, string>
  readonly flags: Set<FlagName>
  readonly problems: string[]
}

function tokens(args: readonly string[]): Tokens {
  const read: Tokens = { names: [], values: new Map(), flags: new Set(), problems: [] }
  const options = [
    ...VALUES.map((name) => [name, { type: 'string' as const }] as const),
    ...FLAGS.map((name) => [name, { type: 'boolean' as const }] as const),
  ]
  const parsed = parseArgs({ args: [...args], strict: false, tokens: true, options: Object.fromEntries(options) })
  const known = [...VALUES, ...FLAGS].map((name) => `--${name}`).join(', ')
  for (const token of parsed.tokens) {
    if (token.kind === 'positional') read.names.push(token.value)
    if (token.kind !== 'option') continue
    const { name, rawName, value } = token
    const valueName = VALUES.find((each) => each === name)
    const flag = FLAGS.find((each) => each === name)
    if (flag !== undefined && value !== undefined) read.problems.push(`${rawName} takes no value, got '${value}'`)
    else if (flag !== undefined) read.flags.add(flag)
    else if (valueName === undefined) read.problems.push(`unknown option ${rawName}; known options: ${known}`)
    else if (value === undefined || value.startsWith('--')) read.problems.push(`${rawName} needs a value`)
    else if (read.values.has(valueName)) read.problems.push(`${rawName} is given twice`)
    else read.values.set(valueName, value)
  }
  return read
}
