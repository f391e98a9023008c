import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { type Mutant, MUTANTS, type Variant, VARIANTS } from './catalogue.ts'

export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'list' }
  | {
      readonly kind: 'run'
      readonly variants: readonly Variant[]
      readonly mutants: readonly Mutant[]
      /** Everything is run, so what no search reached is a fault of the model. */
      readonly complete: boolean
      readonly trail: boolean
      readonly jobs: number
    }

/** Everything that is wrong with a command line. */
export class UsageError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'UsageError'
    this.problems = problems
  }
}

const MAX_JOBS = 64
const OPTIONS = new Set(['variant', 'mutant', 'jobs', 'deep', 'trail', 'list', 'help'])

export const HELP = `Checks the model of the settle-acknowledge-checkpoint protocol in full, with the Spin model checker

Usage: npm run model -- [options]

  --variant <name>   only this variant, may be repeated; 'none' for no variant
  --mutant <name>    only this mutant, may be repeated; 'none' for no mutant
  --deep             also the variants that take minutes and gigabytes
  --trail            tell the counter-example of what is refuted, turn by turn
  --jobs <n>         searches at a time, 1 to ${MAX_JOBS} (default: the number of processors, at most 4)
  --list             list variants and mutants
  --help             print this help

With --variant or --mutant alone, nothing of the other kind is run.
Exit code: 0 every variant holds and every mutant is refuted by the property that it breaks, 1 not so, 2 wrong arguments,
3 spin or gcc is missing, 4 a program failed, 130 interrupted.
The last line is one JSON object.
`

/** Reads a command line. @throws UsageError with every problem at once. */
export function readCommand(args: readonly string[]): Command {
  const problems: string[] = []
  const { values, tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    options: {
      variant: { type: 'string', multiple: true },
      mutant: { type: 'string', multiple: true },
      jobs: { type: 'string' },
      deep: { type: 'boolean' },
      trail: { type: 'boolean' },
      list: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  for (const token of tokens) {
    if (token.kind === 'positional') problems.push(`unexpected argument '${token.value}'`)
    else if (token.kind === 'option' && !OPTIONS.has(token.name)) problems.push(`unknown option '${token.rawName}'`)
  }
  const variantNames = strings(values['variant'], '--variant', problems)
  const mutantNames = strings(values['mutant'], '--mutant', problems)
  const ordinary = VARIANTS.filter(({ deep }) => values['deep'] === true || deep !== true)
  const variants = chosen('variant', variantNames, mutantNames, VARIANTS, ordinary, problems)
  const mutants = chosen('mutant', mutantNames, variantNames, MUTANTS, MUTANTS, problems)
  const jobs = readJobs(values['jobs'], problems)
  if (problems.length > 0) throw new UsageError(problems)
  if (values['help'] === true) return { kind: 'help' }
  if (values['list'] === true) return { kind: 'list' }
  const complete = variants.length >= ordinary.length
  return { kind: 'run', variants, mutants, complete, trail: values['trail'] === true, jobs }
}

function chosen<T extends { readonly name: string }>(
  kind: string,
  names: readonly string[] | undefined,
  namesOfOtherKind: readonly string[] | undefined,
  all: readonly T[],
  byDefault: readonly T[],
  problems: string[],
): readonly T[] {
  if (names === undefined) {
    const onlyOthers = namesOfOtherKind !== undefined && !namesOfOtherKind.includes('none')
    return onlyOthers ? [] : byDefault
  }
  return names.flatMap((name) => {
    if (name === 'none') return []
    const found = all.filter((each) => each.name === name)
    if (found.length === 0) {
      problems.push(`unknown ${kind} '${name}'; there are: ${all.map((each) => each.name).join(', ')}`)
    }
    return found
  })
}

function strings(value: unknown, option: string, problems: string[]): readonly string[] | undefined {
  if (value === undefined) return undefined
  const list = Array.isArray(value) ? value : [value]
  return list.flatMap((each: unknown) => {
    if (typeof each === 'string') return [each]
    problems.push(`${option} needs a name`)
    return []
  })
}

function readJobs(value: unknown, problems: string[]): number {
  if (value === undefined) return Math.min(4, availableParallelism())
  const jobs = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : 0
  if (jobs < 1 || jobs > MAX_JOBS) problems.push(`--jobs must be a whole number from 1 to ${MAX_JOBS}`)
  return jobs
}
