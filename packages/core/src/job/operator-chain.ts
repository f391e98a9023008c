import { kindOf } from '../errors.ts'
import { orderKeyOf } from '../runtime/order-key.ts'
import type { Reason } from '../sink/spi.ts'
import type { Chunk } from './chunk.ts'
import type { SyncStep } from './operators.ts'

/** Operators run no further ahead of the sinks than this. */
export const MAX_VALUES_PER_CHUNK = 1024

/** A record that an operator refused. */
export interface Poison {
  readonly stage: string
  readonly error: unknown
}

/** A step was given a function that cannot do what it is for. Its words name the rule, never the record. */
class MisuseError extends TypeError {
  override readonly name: string = 'TypeError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** What the error or dead letter of the record says. */
export function poisonReason({ stage, error }: Poison): Reason {
  if (error instanceof MisuseError) return { code: error.code, message: error.message, cause: error }
  return { code: 'operatorThrew', message: `${kindOf(error)} in ${stage}`, cause: error }
}

/** Runs synchronous steps, record by record, and appends what they give to a chunk. */
export class OperatorChain {
  /** True when each value becomes exactly one. */
  readonly oneToOne: boolean
  /** After {@link OperatorChain.run}: how many values each record became, from the first on. Empty when {@link oneToOne}. */
  readonly counts: Int32Array
  /** The record at which the last run stopped, because a step threw. */
  poison: Poison | undefined
  readonly #steps: readonly SyncStep[]
  readonly #kinds: readonly SyncStep['kind'][]
  readonly #fns: readonly SyncStep['fn'][]
  readonly #out: Chunk
  #key = 0
  #thrownAt = -1

  /** @param maxRecords - given to one {@link OperatorChain.run}, at most. */
  constructor(steps: readonly SyncStep[], out: Chunk, maxRecords: number) {
    this.#steps = steps
    this.#kinds = steps.map(({ kind }) => kind)
    this.#fns = steps.map(({ fn }) => fn)
    this.oneToOne = steps.every(({ kind }) => kind === 'map' || kind === 'keyBy')
    this.counts = new Int32Array(this.oneToOne ? 0 : maxRecords)
    this.#out = out
  }

  /**
   * Takes records `from` (inclusive) to `to` (exclusive), until one is poison or the chunk holds enough.
   *
   * @returns the index of the first record that it did not take. If that one is poison, nothing of it is left in the chunk.
   */
  run(records: readonly unknown[], from: number, to: number): number {
    const out = this.#out
    const { counts, oneToOne } = this
    let index = from
    let before = out.length
    this.poison = undefined
    try {
      if (oneToOne) {
        const end = Math.min(to, from + Math.max(0, MAX_VALUES_PER_CHUNK - before))
        for (; index < end; index++) this.#apply(records[index], 0)
        return index
      }
      for (; index < to && before < MAX_VALUES_PER_CHUNK; index++) {
        this.#apply(records[index], 0)
        counts[index - from] = out.length - before
        before = out.length
      }
    } catch (error) {
      // A one-to-one chain appends only after its last step.
      if (!oneToOne) out.cutTo(before)
      this.#caught(error)
    }
    return index
  }

  /**
   * Takes one value that has this order key already.
   *
   * @returns how many values it became; -1 when it is poison.
   */
  runOne(value: unknown, key: number): number {
    const out = this.#out
    const before = out.length
    this.#key = key
    try {
      this.#apply(value, 0)
      return out.length - before
    } catch (error) {
      out.cutTo(before)
      this.#caught(error)
      return -1
    }
  }

  #caught(error: unknown): void {
    const stage = this.#steps[this.#thrownAt]?.stage ?? ''
    this.#thrownAt = -1
    this.poison = { stage, error }
  }

  #apply(value: unknown, from: number): void {
    const fns = this.#fns
    const kinds = this.#kinds
    const { length } = fns
    let at = from
    try {
      for (; at < length; at++) {
        const result = (fns[at] as SyncStep['fn'])(value)
        const kind = kinds[at]
        if (kind === 'map') {
          if (isPromise(result)) throw this.#promised(result, at)
          value = result
        } else if (kind === 'filter') {
          if (result === true) continue
          if (result === false) return
          if (isPromise(result)) throw this.#promised(result, at)
          if (!result) return
        } else if (kind === 'keyBy') {
          this.#key = this.#keyOf(result, at)
        } else {
          this.#spread(result, at)
          return
        }
      }
    } catch (error) {
      // A throw on its way through the flatMaps before this step keeps its place.
      if (this.#thrownAt === -1) this.#thrownAt = at
      throw error
    }
    this.#out.push(value, this.#key)
  }

  #spread(items: unknown, at: number): void {
    if (isPromise(items)) throw this.#promised(items, at)
    for (const item of items as Iterable<unknown>) {
      if (isPromise(item)) throw this.#promised(item, at)
      this.#apply(item, at + 1)
    }
  }

  #keyOf(result: unknown, at: number): number {
    if (typeof result === 'string' || (typeof result === 'number' && Number.isFinite(result))) return orderKeyOf(result)
    if (isPromise(result)) throw this.#promised(result, at)
    const given = typeof result === 'number' ? String(result) : result === null ? 'null' : typeof result
    const message = `${this.#steps[at]?.stage} must return a string or a finite number, got ${given}`
    throw new MisuseError('orderKeyInvalid', message)
  }

  /** Sent on, it would reach the sink as it is, and in a filter it would always count as true. */
  #promised(promise: PromiseLike<unknown>, at: number): MisuseError {
    // Nobody else will look at how it ends, and an unhandled rejection would end the process.
    promise.then(undefined, () => undefined)
    const message = `${this.#steps[at]?.stage} returned a promise: operators run at once; use mapAsync() for what must be awaited`
    return new MisuseError('promiseReturned', message)
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return value instanceof Promise
}
