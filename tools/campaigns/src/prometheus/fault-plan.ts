import { type FaultRule, type RequestFault, respondWith, type ResponseFault } from '@sluice/testkit'
import type { AskedToWait } from './sent.ts'

/** Faults for one request each, and which of them asked the sender to wait. */
export interface FaultPlan {
  readonly rules: readonly FaultRule[]
  readonly asked: readonly AskedToWait[]
}

interface PlannedFault {
  readonly fault: RequestFault | ResponseFault
  readonly retryAfterS?: number
}

const MAX_STORM_DELAY_MS = 200
const MAX_ORDER_DELAY_MS = 120
/** Requests between two faults, the second one included, at most. */
const MAX_STEP = 3
/** One answer in so many has a `Retry-After`: each of them stops the sender for a second or two. */
const RETRY_AFTER_EVERY = 16
const MIN_RETRY_AFTER = 3
const MAX_RETRY_AFTER_S = 2
const STATUSES = [429, 500, 502, 503, 504] as const

/** Answers that ask for a repeat, applied or not, and delays: of about half of all requests. */
export function stormPlan(faults: number, random: () => number): FaultPlan {
  const waits = Math.max(MIN_RETRY_AFTER, Math.trunc(faults / RETRY_AFTER_EVERY))
  return planOf(faults, random, (index) => {
    if (index % Math.trunc(faults / waits) === 0 && index / Math.trunc(faults / waits) < waits) {
      const retryAfterS = 1 + Math.trunc(random() * MAX_RETRY_AFTER_S)
      return { fault: respondWith(random() < 0.5 ? 429 : 503, { retryAfter: retryAfterS }), retryAfterS }
    }
    const kind = random()
    const delayMs = Math.trunc(random() * MAX_STORM_DELAY_MS)
    if (kind < 0.1) return { fault: { kind: 'delayRequest', delayMs } }
    if (kind < 0.2) return { fault: { kind: 'delayResponse', delayMs } }
    const status = STATUSES[Math.trunc(random() * STATUSES.length)] ?? 503
    return { fault: respondWith(status, { afterApply: kind < 0.4 }) }
  })
}

const CUTS = ['cutBeforeApply', 'cutAfterApply', 'reset', 'resetAfterApply', 'truncateResponse'] as const

/** Cuts before and after the receiver has applied a request, and as many delays. */
export function orderPlan(faults: number, random: () => number): FaultPlan {
  return planOf(faults, random, (index) => {
    if (index % 2 === 0) return { fault: { kind: CUTS[Math.trunc(random() * CUTS.length)] ?? 'reset' } }
    const delayMs = Math.trunc(random() * MAX_ORDER_DELAY_MS)
    return { fault: { kind: random() < 0.5 ? 'delayRequest' : 'delayResponse', delayMs } }
  })
}

function planOf(faults: number, random: () => number, faultOf: (index: number) => PlannedFault): FaultPlan {
  const asked: AskedToWait[] = []
  const rules: FaultRule[] = []
  let from = 0
  for (let index = 0; index < faults; index++) {
    from += 1 + Math.trunc(random() * MAX_STEP)
    const least = from
    const { fault, retryAfterS } = faultOf(index)
    rules.push({
      ...fault,
      times: 1,
      // Whom it says yes to gets this fault: no other rule is asked.
      match: ({ number }) => {
        if (number < least) return false
        if (retryAfterS !== undefined) asked.push({ number, seconds: retryAfterS })
        return true
      },
    })
  }
  return { rules, asked }
}
