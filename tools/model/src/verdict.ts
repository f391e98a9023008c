import type { Mutant, Variant } from './catalogue.ts'
import type { PanReport } from './pan-output.ts'

export interface Verdict {
  readonly ok: boolean
  /** A word or two for the table. */
  readonly text: string
}

/** A protocol must hold, in a search that left nothing out. */
export function judgeVariant(report: PanReport): Verdict {
  if (report.errors > 0) return { ok: false, text: `BROKEN: ${report.violated ?? 'unknown'}` }
  if (report.truncated.length > 0) return { ok: false, text: `NOT SEARCHED IN FULL: ${report.truncated.join(', ')}` }
  return { ok: true, text: 'holds' }
}

/** A mutant must be refuted by the property that its bug breaks: another one would mean that the model fails for a wrong reason. */
export function judgeMutant(mutant: Mutant, report: PanReport): Verdict {
  if (report.errors === 0) return { ok: false, text: 'SURVIVED' }
  if (report.violated === mutant.breaks) return { ok: true, text: `refuted: ${mutant.breaks}` }
  return { ok: false, text: `REFUTED BY ${report.violated ?? 'unknown'}, expected ${mutant.breaks}` }
}

/** The variants of one shape, with what each search said. */
export type Searched = readonly { readonly variant: Variant; readonly report: PanReport }[]

/**
 * Statements of the model that no variant of their shape reached: what they say was not checked. A variant alone does not reach all,
 * since its budgets leave some faults out.
 */
export function neverReached(searched: Searched): string[] {
  const shapes = Map.groupBy(searched, ({ variant }) => variant.shape)
  return [...shapes].flatMap(([shape, all]) => {
    const lists = all.map(
      ({ report }) => new Set(report.unreached.map(({ process, statement }) => `${process}: ${statement}`)),
    )
    const [first = new Set<string>(), ...others] = lists
    return [...first].filter((each) => others.every((other) => other.has(each))).map((each) => `${shape}, ${each}`)
  })
}
