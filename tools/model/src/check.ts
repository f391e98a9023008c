import type { Mutant, Variant } from './catalogue.ts'
import { type SearchRequest, type SearchResult, searchModel } from './search.ts'
import type { Tools } from './tools.ts'
import { judgeMutant, judgeVariant, neverReached, type Verdict } from './verdict.ts'

export interface Plan {
  readonly variants: readonly Variant[]
  readonly mutants: readonly Mutant[]
  /** All variants are among them: a statement that no search reached is a failure. */
  readonly complete: boolean
  readonly trail: boolean
  readonly jobs: number
}

export interface Row {
  readonly name: string
  readonly kind: 'variant' | 'mutant'
  readonly verdict: Verdict
  readonly result: SearchResult
}

export interface Outcome {
  readonly rows: readonly Row[]
  /** In words, one each; empty when all is as it must be. */
  readonly failures: readonly string[]
}

/**
 * Runs all searches, a few at a time.
 *
 * @param onRow - told of each search when it ends.
 * @throws Error when a program fails.
 */
export async function checkModel(
  tools: Tools,
  plan: Plan,
  signal: AbortSignal,
  onRow: (row: Row) => void,
): Promise<Outcome> {
  const rows: Row[] = []
  const searched: { variant: Variant; report: SearchResult }[] = []
  const { trail } = plan
  const add = (row: Row): void => {
    rows.push(row)
    onRow(row)
  }
  const search = (request: SearchRequest): Promise<SearchResult> => searchModel(tools, request, signal)
  // The long ones first: the short ones fill the gaps at the end.
  const todo = [
    ...plan.variants.map((variant) => async () => {
      const result = await search({
        defines: variant.defines,
        search: variant.search,
        optimize: variant.short !== true,
        trail,
      })
      searched.push({ variant, report: result })
      add({ name: variant.name, kind: 'variant', verdict: judgeVariant(result), result })
    }),
    ...plan.mutants.map((mutant) => async () => {
      const result = await search({ defines: mutant.defines, search: 'states', optimize: false, trail })
      add({ name: mutant.name, kind: 'mutant', verdict: judgeMutant(mutant, result), result })
    }),
  ]
  const work = async (): Promise<void> => {
    for (let next = todo.shift(); next !== undefined; next = todo.shift()) await next()
  }
  await Promise.all(Array.from({ length: plan.jobs }, work))
  const failures = rows.filter(({ verdict }) => !verdict.ok).map(({ name, verdict }) => `${name}: ${verdict.text}`)
  if (plan.complete) failures.push(...neverReached(searched).map((statement) => `never reached: ${statement}`))
  return { rows, failures }
}
