import { setTimeout as sleep } from 'node:timers/promises'
import type { MemoryPipelineUnderTest } from '../pipelines/memory-servers.ts'

/**
 * A fault of a soak.
 *
 * - `hold`: the store answers nothing for a while.
 * - `cutStore`, `busyStore`: it cuts connections, or answers 503.
 * - `cutSource`: the source's service cuts connections, so that the attempt ends and another begins.
 * - `rebalance`: a split goes to another member and comes back. Only with a group.
 */
export const FAULTS = ['hold', 'cutStore', 'busyStore', 'cutSource', 'rebalance'] as const
export type Fault = (typeof FAULTS)[number]

const MAX_FAULT_MS = 600
const LOOK_MS = 10
const DEADLINE_MS = 5_000

/** Lets one fault happen. @returns whether it met something. */
export async function breakOnce(
  fault: Fault,
  pipeline: MemoryPipelineUnderTest,
  random: () => number,
  signal: AbortSignal,
): Promise<boolean> {
  const { service, gate } = pipeline
  const lastsMs = random() * MAX_FAULT_MS
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal })
  const until = async (condition: () => boolean): Promise<boolean> => {
    const deadlineAt = performance.now() + DEADLINE_MS
    while (!condition() && performance.now() < deadlineAt) await pause(LOOK_MS)
    return condition()
  }
  let met = 0
  const meets = (wanted: boolean, outcome: 'cut' | { readonly status: number }): typeof outcome | undefined => {
    if (!wanted) return undefined
    met++
    return outcome
  }
  if (fault === 'hold') {
    const resume = gate.pause()
    const held = await until(() => gate.held > 0)
    await pause(lastsMs)
    resume()
    return held
  }
  if (fault === 'rebalance') {
    const owned = [...service.log.splits.keys()].filter((id) => service.group.isOwned(id))
    const splitId = owned[Math.trunc(random() * owned.length)]
    if (splitId === undefined) return false
    service.group.take(splitId, random() < 0.5 ? 'revoked' : 'lost')
    const left = await until(() => !service.group.isOwned(splitId))
    await pause(lastsMs)
    service.group.giveBack(splitId)
    return left && (await until(() => service.group.isOwned(splitId)))
  }
  service.fault = (path) => {
    const isStore = path.startsWith('/store')
    if (fault === 'cutStore') return meets(isStore, 'cut')
    if (fault === 'busyStore') return meets(isStore, { status: 503 })
    return meets(!isStore, 'cut')
  }
  await until(() => met > 0)
  await pause(lastsMs)
  service.fault = () => undefined
  return met > 0
}
