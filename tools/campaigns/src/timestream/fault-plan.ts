import type { Fault, FaultOptions, Faults } from '@sluice/timestream-local'
import { shuffled } from '../ledger/shuffled.ts'

/** A fault for one request. */
export type PlannedFault = Omit<FaultOptions, 'operation' | 'times' | 'probability' | 'random' | 'seed'>

const MAX_DELAY_MS = 200
const MAX_MAGNETIC = 'Writes are throttled. Check the metric ActiveMagneticStorePartitions of your database.'

/** What a store that is busy, broken and slow answers, each as often as every other. */
const STORM: readonly ((random: () => number) => PlannedFault)[] = [
  () => ({ kind: 'throttle' }),
  () => ({ kind: 'throttle', message: MAX_MAGNETIC }),
  () => ({ kind: 'fail', errorType: 'InternalServerException' }),
  () => ({ kind: 'fail', errorType: 'ServiceUnavailableException' }),
  () => ({ kind: 'fail', errorType: 'InvalidEndpointException' }),
  () => ({ kind: 'cutBeforeApply' }),
  () => ({ kind: 'cutAfterApply' }),
  (random) => ({ kind: 'delay', delayMs: Math.trunc(random() * MAX_DELAY_MS) }),
]

export const STORM_KINDS: number = STORM.length

export function stormPlan(faults: number, random: () => number): readonly PlannedFault[] {
  const plan = Array.from({ length: faults }, (_, index) => STORM[index % STORM.length]?.(random))
  return shuffled(
    plan.flatMap((fault) => fault ?? []),
    random,
  )
}

/** Of the requests that are cut, one in so many is cut before it is applied. */
const BEFORE_APPLY_EVERY = 6

/** @param faults - answers that are lost; further requests are lost before they are applied. */
export function ambiguousPlan(faults: number, random: () => number): readonly PlannedFault[] {
  const before = Math.ceil(faults / (BEFORE_APPLY_EVERY - 1))
  const after = Array.from({ length: faults }, (): PlannedFault => ({ kind: 'cutAfterApply' }))
  return shuffled(
    [...after, ...Array.from({ length: before }, (): PlannedFault => ({ kind: 'cutBeforeApply' }))],
    random,
  )
}

const REASONS = [
  'A rule that nobody knows was broken.',
  'The record timestamp is outside the time range [2020-01-01, 2020-01-02) of the memory store.',
  'Dimension name exceeds the maximum supported length.',
] as const

/** Rejections of any number of records, at any places of their request. */
export function rejectPlan(faults: number, random: () => number, batch: number): readonly PlannedFault[] {
  return Array.from({ length: faults }, (): PlannedFault => {
    const count = 1 + Math.trunc(random() ** 3 * batch)
    const places = shuffled(
      Array.from({ length: batch }, (_, index) => index),
      random,
    )
    const message = REASONS[Math.trunc(random() * REASONS.length)] ?? REASONS[0]
    return { kind: 'reject', records: places.slice(0, count), message }
  })
}

/** Share of the requests that pass between the faults. */
const PASSING = 0.4
/** Of requests that pass: so long that some overtake others. */
const PASSING_DELAY_MS = 3

/**
 * Puts a plan in force: its faults come one after the other, and between them requests pass, as the seed says.
 *
 * @returns the faults of the plan, which count how often they fired.
 */
export function putInForce(faults: Faults, plan: readonly PlannedFault[], seed: number): readonly Fault[] {
  faults.add({ kind: 'delay', operation: 'WriteRecords', delayMs: PASSING_DELAY_MS, probability: PASSING, seed })
  return plan.map((fault) => faults.add({ ...fault, operation: 'WriteRecords', times: 1 }))
}
