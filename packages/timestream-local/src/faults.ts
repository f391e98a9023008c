import { OPERATIONS } from './protocol.ts'
import { SERVICE_ERROR_TYPES, TimestreamLocalError, type ServiceErrorType } from './errors.ts'
import { LIMITS } from './limits.ts'

/**
 * `throttle` answers ThrottlingException, `fail` answers `errorType`, `delay` waits and then goes on, also when the
 * client has gone, `cutBeforeApply` and `cutAfterApply` close the connection without an answer. `reject` rejects records
 * of a WriteRecords request and stores the others. `expireCredentials` answers ExpiredTokenException, and goes on to do
 * so for the access key that it hit, until `clear()`.
 */
export const FAULT_KINDS = [
  'throttle',
  'fail',
  'delay',
  'cutBeforeApply',
  'cutAfterApply',
  'reject',
  'expireCredentials',
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

/** A fault to inject. The first fault in order of addition that applies to a request is the one that fires. */
export interface FaultOptions {
  readonly kind: FaultKind
  /** Operation as in `WriteRecords`, or `*` for all; `reject` applies to WriteRecords only. */
  readonly operation: string
  /** How often it fires before it is spent, 1 or more. @default Infinity */
  readonly times?: number
  /** Share of matching requests that it hits, above 0 and up to 1. @default 1 */
  readonly probability?: number
  /** For `delay`, which needs it: how long, in ms, 0 to 600 000. */
  readonly delayMs?: number
  /** For `fail`: the error that is answered. @default 'InternalServerException' */
  readonly errorType?: ServiceErrorType
  /** For `throttle` and `fail` the message that is answered, for `reject` the reason. */
  readonly message?: string
  /** For `reject`: indexes of the records that are rejected, 0 to 99; others than the request has are left out. @default [0] */
  readonly records?: readonly number[]
  /** Source of chance for `probability`. @default Math.random, or a generator that starts from `seed` */
  readonly random?: () => number
  /** Whole number from 0 to 2^32 - 1 from which `probability` draws, for repeatable runs; not together with `random`. */
  readonly seed?: number
}

/** A fault in force, with how often it fired. */
export interface Fault {
  /** Number of the fault, from 1 in order of addition. */
  readonly id: number
  readonly options: FaultOptions
  readonly fired: number
  /** Takes the fault out; it keeps its count. */
  remove(): void
}

/** The fault switches of a server. */
export interface Faults {
  /** Adds a fault. Throws a TimestreamLocalError that lists every wrong option. */
  add(options: FaultOptions): Fault
  /** Takes all faults out and takes back what `expireCredentials` did; counts stay. */
  clear(): void
  /**
   * How often each kind fired since the start of the server. For `expireCredentials` this counts every request that was
   * refused, also the later ones of a key; the `fired` of the fault counts the keys.
   */
  readonly fired: Readonly<Record<FaultKind, number>>
  /** Faults that are neither spent nor removed, in order of addition. */
  readonly active: readonly Fault[]
}

class ActiveFault implements Fault {
  readonly id: number
  readonly options: FaultOptions
  readonly random: () => number
  fired = 0
  readonly #remove: () => void

  constructor(id: number, options: FaultOptions, remove: () => void) {
    this.id = id
    this.options = options
    this.random = options.random ?? (options.seed === undefined ? Math.random : seeded(options.seed))
    this.#remove = remove
  }

  remove(): void {
    this.#remove()
  }
}

export class FaultSwitches implements Faults {
  readonly fired: Record<FaultKind, number> = {
    throttle: 0,
    fail: 0,
    delay: 0,
    cutBeforeApply: 0,
    cutAfterApply: 0,
    reject: 0,
    expireCredentials: 0,
  }
  readonly #active = new Set<ActiveFault>()
  readonly #expiredKeys = new Set<string>()
  #ids = 0

  get active(): readonly Fault[] {
    return [...this.#active]
  }

  add(options: FaultOptions): Fault {
    const problems = faultProblems(options)
    if (problems.length > 0) throw new TimestreamLocalError('TIMESTREAM_LOCAL_OPTIONS', problems)
    const fault: ActiveFault = new ActiveFault(++this.#ids, { ...options }, () => this.#active.delete(fault))
    this.#active.add(fault)
    return fault
  }

  clear(): void {
    this.#active.clear()
    this.#expiredKeys.clear()
  }

  /** The fault that fires for a request, counted as fired; or undefined. */
  take(operation: string, accessKeyId: string): FaultOptions | undefined {
    if (this.#expiredKeys.has(accessKeyId)) {
      this.fired.expireCredentials++
      return { kind: 'expireCredentials', operation }
    }
    for (const fault of this.#active) {
      const { operation: wanted, probability = 1, times = Infinity, kind } = fault.options
      if (wanted !== '*' && wanted !== operation) continue
      if (kind === 'reject' && operation !== 'WriteRecords') continue
      if (probability < 1 && fault.random() >= probability) continue
      fault.fired++
      this.fired[kind]++
      if (fault.fired >= times) fault.remove()
      if (kind === 'expireCredentials') this.#expiredKeys.add(accessKeyId)
      return fault.options
    }
    return undefined
  }
}

const OPTION_NAMES: ReadonlySet<string> = new Set([
  'kind',
  'operation',
  'times',
  'probability',
  'delayMs',
  'errorType',
  'message',
  'records',
  'random',
  'seed',
])

/** Everything that is wrong with the options of a fault. */
export function faultProblems(options: FaultOptions): readonly string[] {
  // Options may come from JSON or JavaScript.
  const given: unknown = options
  if (typeof given !== 'object' || given === null) return ['A fault must be an object.']
  const { kind, operation, times = 1, probability = 1, delayMs = 0, errorType = 'InternalServerException' } = options
  const { message = '', records = [0], seed = 0, random } = options
  const problems: string[] = []
  const unknown = Object.keys(options).filter((name) => !OPTION_NAMES.has(name))
  if (unknown.length > 0) problems.push(`Unknown option of a fault: ${unknown.join(', ')}.`)
  if (!FAULT_KINDS.includes(kind)) problems.push(`kind must be one of ${FAULT_KINDS.join(', ')}; got ${kind}.`)
  if (operation !== '*' && !OPERATIONS.includes(operation)) {
    problems.push(`operation must be * or one of ${OPERATIONS.join(', ')}; got ${operation}.`)
  } else if (kind === 'reject' && operation !== '*' && operation !== 'WriteRecords') {
    problems.push(`operation of reject must be WriteRecords or *; got ${operation}.`)
  }
  if (times !== Infinity && !(Number.isInteger(times) && times >= 1)) {
    problems.push(`times must be a whole number from 1; got ${times}.`)
  }
  if (!(typeof probability === 'number' && probability > 0 && probability <= 1))
    problems.push(`probability must be above 0 and at most 1; got ${probability}.`)
  if (!(typeof delayMs === 'number' && delayMs >= 0 && delayMs <= 600_000))
    problems.push(`delayMs must be from 0 to 600000; got ${delayMs}.`)
  if (kind === 'delay' && options.delayMs === undefined) problems.push('delayMs of delay must be given.')
  if (!SERVICE_ERROR_TYPES.includes(errorType)) problems.push(`errorType is not known: ${errorType}.`)
  if (typeof message !== 'string') problems.push(`message must be a string; got ${typeof message}.`)
  if (!Array.isArray(records) || records.length === 0 || !records.every(isRecordIndex)) {
    problems.push(
      `records must be a list of indexes from 0 to ${LIMITS.recordsPerRequest - 1}; got ${JSON.stringify(records)}.`,
    )
  }
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    problems.push(`seed must be a whole number from 0 to 4294967295; got ${seed}.`)
  }
  if (random !== undefined && typeof random !== 'function') problems.push('random must be a function.')
  if (random !== undefined && options.seed !== undefined) problems.push('random and seed must not be given together.')
  return problems
}

function isRecordIndex(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < LIMITS.recordsPerRequest
}

/** Mulberry32: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
