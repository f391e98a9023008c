import { SluiceError } from '../errors.ts'
import { OptionsCheck } from '../options.ts'

/** What a {@link Stream.mapAsync} is told with each value. */
export interface CallContext {
  /** Aborts when the call's time is over and when the attempt ends. Made when it is first looked at. */
  readonly signal: AbortSignal
}

export interface MapAsyncOptions {
  /** Calls under way at one time, in all fetch loops of the job together: 1 to 65536. @default 16 */
  readonly concurrency?: number
  /**
   * True: results go on in the order of their inputs. False: as they come; values with one order key (`keyBy` before this step)
   * still keep their order.
   *
   * @default true
   */
  readonly ordered?: boolean
  /** Milliseconds that one call may take. @default 60000 */
  readonly timeoutMs?: number
}

/** A step that runs at once. `stage` names it in errors: `map #2`. */
export interface SyncStep {
  readonly kind: 'map' | 'filter' | 'flatMap' | 'keyBy'
  readonly stage: string
  readonly fn: (value: unknown) => unknown
}

export interface AsyncStep {
  readonly kind: 'mapAsync'
  readonly stage: string
  readonly fn: (value: unknown, context: CallContext) => unknown
  readonly concurrency: number
  readonly ordered: boolean
  readonly timeoutMs: number
}

/** What a job does with each value, in order. */
export type Step = SyncStep | AsyncStep

/** @throws SluiceError `SLUICE_OPTIONS_INVALID` when `fn` is no function. */
export function syncStep(kind: SyncStep['kind'], index: number, fn: (value: never) => unknown): SyncStep {
  requireFunction(kind, fn)
  return { kind, stage: `${kind} #${index}`, fn: fn as SyncStep['fn'] }
}

/** @throws SluiceError `SLUICE_OPTIONS_INVALID` when `fn` is no function, or with every problem of the options. */
export function asyncStep(
  index: number,
  fn: (value: never, context: CallContext) => unknown,
  options: MapAsyncOptions,
): AsyncStep {
  requireFunction('mapAsync', fn)
  const check = new OptionsCheck('mapAsync', options, ['concurrency', 'ordered', 'timeoutMs'])
  check.integer('concurrency', { max: 65_536 })
  check.boolean('ordered')
  check.integer('timeoutMs')
  check.throwIfAny()
  const { concurrency = 16, ordered = true, timeoutMs = 60_000 } = options
  return { kind: 'mapAsync', stage: `mapAsync #${index}`, fn: fn as AsyncStep['fn'], concurrency, ordered, timeoutMs }
}

/**
 * The steps and one more.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` for a `keyBy` where the order that it promises is already lost.
 */
export function withStep(steps: readonly Step[], step: Step): readonly Step[] {
  const unordered = steps.find((other) => other.kind === 'mapAsync' && !other.ordered)
  if (step.kind === 'keyBy' && unordered !== undefined) {
    const message = `${step.stage} comes after ${unordered.stage} with ordered: false, which has lost the order of the values: put keyBy before it, or use ordered: true`
    throw new SluiceError('SLUICE_OPTIONS_INVALID', message)
  }
  return [...steps, step]
}

/** True when the values have an order key at the end of the steps. */
export function isKeyed(steps: readonly Step[]): boolean {
  return steps.some(({ kind }) => kind === 'keyBy')
}

function requireFunction(kind: string, fn: unknown): void {
  if (typeof fn === 'function') return
  throw new SluiceError('SLUICE_OPTIONS_INVALID', `${kind}() needs a function, got ${fn === null ? 'null' : typeof fn}`)
}
