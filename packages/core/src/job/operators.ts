/** A fused step between source and sinks: gets a value and hands none, one or many on. Synchronous. */
export type Operator = (value: unknown, next: (value: unknown) => void) => void

/** What a job does with each value, in order; `stage` names a step in errors: `map #2`. */
export interface Step {
  readonly stage: string
  readonly apply: Operator
}

export function mapStep(index: number, fn: (value: never) => unknown): Step {
  const call = fn as (value: unknown) => unknown
  return { stage: `map #${index}`, apply: (value, next) => next(call(value)) }
}

export function filterStep(index: number, predicate: (value: never) => boolean): Step {
  const call = predicate as (value: unknown) => boolean
  return {
    stage: `filter #${index}`,
    apply: (value, next) => {
      if (call(value)) next(value)
    },
  }
}

export function flatMapStep(index: number, fn: (value: never) => Iterable<unknown>): Step {
  const call = fn as (value: unknown) => Iterable<unknown>
  return {
    stage: `flatMap #${index}`,
    apply: (value, next) => {
      for (const item of call(value)) next(item)
    },
  }
}

/** Runs the steps over one value at a time and says at which step a throw happened. */
export class OperatorChain {
  readonly #first: (value: unknown) => void
  #stage = ''
  #out: unknown[] = []

  constructor(steps: readonly Step[]) {
    let next = (value: unknown): void => {
      this.#out.push(value)
    }
    for (const step of steps.toReversed()) {
      const rest = next
      const handOn = (value: unknown): void => {
        rest(value)
        // Back in this step: its iterable may throw after values that it gave.
        this.#stage = step.stage
      }
      next = (value) => {
        this.#stage = step.stage
        step.apply(value, handOn)
      }
    }
    this.#first = next
  }

  /** After a throw: the step that threw, or whose iterable did. */
  get stage(): string {
    return this.#stage
  }

  /** Appends what the value becomes to `out` and returns how many there are. A throw leaves `out` as it was. */
  run(value: unknown, out: unknown[]): number {
    const before = out.length
    this.#out = out
    try {
      this.#first(value)
    } catch (error) {
      out.length = before
      throw error
    }
    return out.length - before
  }
}
