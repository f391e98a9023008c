import { OPERATIONS } from './protocol.ts'
import { SERVICE_ERROR_TYPES, TimestreamLocalError, type ServiceErrorType } from './errors.ts'

/**
 * `throttle` answers ThrottlingException, `fail` answers `errorType`, `delay` waits and then goes on, also when the
 * client has gone, `cutBeforeApply` and `cutAfterApply` close the connection without an answer.
 */
export const FAULT_KINDS = ['throttle', 'fail', 'delay', 'cutBeforeApply', 'cutAfterApply'] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

/** A fault to inject. The first fault in order of addition that applies to a request is the one that fires. */
export interface FaultOptions {
  readonly kind: FaultKind
  /** Operation as in `WriteRecords`, or `*` for all. */
  readonly operation: string
  /** How often it fires before it is spent, 1 or more. @default Infinity */
  readonly times?: number
  /** Share of matching requests that it hits, above 0 and up to 1. @default 1 */
  readonly probability?: number
  /** For `delay`: how long, in ms, 0 to 600 000. @default 0 */
  readonly delayMs?: number
  /** For `fail`: the error that is answered. @default 'InternalServerException' */
  readonly errorType?: ServiceErrorType
  /** For `throttle` and `fail`: the message that is answered. */
  readonly message?: string
  /** Source of chance for `probability`: give a seeded one for repeatable runs. @default Math.random */
  readonly random?: () => number
}

/** A fault in force, with how often it fired. */
export interface Fault {
  readonly options: FaultOptions
  readonly fired: number
  /** Takes the fault out; it keeps its count. */
  remove(): void
}

/** The fault switches of a server. */
export interface Faults {
  /** Adds a fault. Throws a TimestreamLocalError that lists every wrong option. */
  add(options: FaultOptions): Fault
  /** Takes all faults out; counts stay. */
  clear(): void
  /** How often each kind fired since the start of the server. */
  readonly fired: Readonly<Record<FaultKind, number>>
}

class ActiveFault implements Fault {
  readonly options: FaultOptions
  fired = 0
  readonly #remove: () => void

  constructor(options: FaultOptions, remove: () => void) {
    this.options = options
    this.#remove = remove
  }

  remove(): void {
    this.#remove()
  }
}

export class FaultSwitches implements Faults {
  readonly fired: Record<FaultKind, number> = { throttle: 0, fail: 0, delay: 0, cutBeforeApply: 0, cutAfterApply: 0 }
  readonly #active = new Set<ActiveFault>()

  add(options: FaultOptions): Fault {
    checkFault(options)
    const fault: ActiveFault = new ActiveFault({ ...options }, () => this.#active.delete(fault))
    this.#active.add(fault)
    return fault
  }

  clear(): void {
    this.#active.clear()
  }

  /** The fault that fires for a request of this operation, counted as fired; or undefined. */
  take(operation: string): FaultOptions | undefined {
    for (const fault of this.#active) {
      const { operation: wanted, probability = 1, times = Infinity, random = Math.random, kind } = fault.options
      if (wanted !== '*' && wanted !== operation) continue
      if (probability < 1 && random() >= probability) continue
      fault.fired++
      this.fired[kind]++
      if (fault.fired >= times) fault.remove()
      return fault.options
    }
    return undefined
  }
}

function checkFault(options: FaultOptions): void {
  const { kind, operation, times = 1, probability = 1, delayMs = 0, errorType = 'InternalServerException' } = options
  const problems: string[] = []
  if (!FAULT_KINDS.includes(kind)) problems.push(`kind must be one of ${FAULT_KINDS.join(', ')}; got ${kind}.`)
  if (operation !== '*' && !OPERATIONS.includes(operation)) {
    problems.push(`operation must be * or one of ${OPERATIONS.join(', ')}; got ${operation}.`)
  }
  if (times !== Infinity && !(Number.isInteger(times) && times >= 1)) {
    problems.push(`times must be a whole number from 1; got ${times}.`)
  }
  if (!(probability > 0 && probability <= 1))
    problems.push(`probability must be above 0 and at most 1; got ${probability}.`)
  if (!(delayMs >= 0 && delayMs <= 600_000)) problems.push(`delayMs must be from 0 to 600000; got ${delayMs}.`)
  if (!SERVICE_ERROR_TYPES.includes(errorType)) problems.push(`errorType is not known: ${errorType}.`)
  if (problems.length > 0) throw new TimestreamLocalError('TIMESTREAM_LOCAL_OPTIONS', problems)
}
