/**
 * Named places where a test or a fault campaign may act: die, throw, or switch one promise off. Nothing is registered in
 * production, where a failpoint costs one property read.
 */
export type FailpointAction = () => boolean | void

interface Registry {
  actions: Map<string, FailpointAction> | undefined
}

const KEY = Symbol.for('sluice.failpoints')
const shared = globalThis as unknown as Record<symbol, Registry | undefined>
// Shared by all copies of the package in the process, so that one switch reaches every connector.
const registry: Registry = (shared[KEY] ??= { actions: undefined })

/** Runs the action registered under the name, if any. True means: take the sabotaged branch. */
export function failpoint(name: string): boolean {
  if (registry.actions === undefined) return false
  return registry.actions.get(name)?.() === true
}

/** Registers an action; the returned function removes it. */
export function setFailpoint(name: string, action: FailpointAction): () => void {
  registry.actions ??= new Map()
  registry.actions.set(name, action)
  return () => {
    const { actions } = registry
    // Registered anew since: that one is not ours to remove.
    if (actions?.get(name) !== action) return
    actions.delete(name)
    if (actions.size === 0) registry.actions = undefined
  }
}
