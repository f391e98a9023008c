/** One fault of the campaign. */
export type OwnerFault =
  /** Two processes start at the same moment, where a killed owner has left its socket. */
  | { readonly kind: 'race' }
  /** An owner is stopped, and another takes over that cannot reach it; then it goes on. */
  | { readonly kind: 'frozen'; readonly at: FreezePoint }
  /** An owner lives, or was killed, in a pid namespace of its own; the other has the same pid in another one. */
  | { readonly kind: 'namespace'; readonly owner: 'alive' | 'killed' }

/** Where an owner stops: at any moment, or at a failpoint between the settlement of a checkpoint and its acknowledgement. */
export type FreezePoint = (typeof FREEZE_POINTS)[number]

export const FREEZE_POINTS = ['any', 'checkpoint:settled', 'checkpoint:written', 'checkpoint:renamed'] as const

/** Every kind and every point at least once. */
export const MIN_FAULTS = 8

/** Half races, the rest frozen owners at every point in turn, and two with pid namespaces where there are any. */
export function ownerPlan(faults: number, hasNamespaces: boolean): readonly OwnerFault[] {
  const plan: OwnerFault[] = []
  if (hasNamespaces) plan.push({ kind: 'namespace', owner: 'alive' }, { kind: 'namespace', owner: 'killed' })
  let frozen = 0
  for (let index = 0; plan.length < faults; index++) {
    const at = FREEZE_POINTS[frozen % FREEZE_POINTS.length] ?? 'any'
    if (index % 3 === 0) plan.push({ kind: 'race' })
    else {
      plan.push({ kind: 'frozen', at })
      frozen++
    }
  }
  return plan
}
