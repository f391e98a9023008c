import type { CallContext } from '../../src/index.ts'

export interface Call<T> {
  readonly value: T
  readonly signal: AbortSignal
  readonly resolve: (result: T) => void
  readonly reject: (error: unknown) => void
}

/** A look-up whose calls end only when a test says so. */
export class LookUp<T> {
  /** Every call, in order of the starts. */
  readonly calls: Call<T>[] = []
  readonly #open = new Set<Call<T>>()
  #running = 0
  /** The most calls that had not returned at one time. */
  mostUnderWay = 0
  /** From then on calls end at once, with what was given. */
  opened = false

  readonly call = async (value: T, { signal }: CallContext): Promise<T> => {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const ending = <A>(end: (given: A) => void): ((given: A) => void) => {
      return (given) => {
        this.#open.delete(call)
        end(given)
      }
    }
    const call: Call<T> = { value, signal, resolve: ending(resolve), reject: ending(reject) }
    this.calls.push(call)
    this.#open.add(call)
    this.#running++
    this.mostUnderWay = Math.max(this.mostUnderWay, this.#running)
    if (this.opened) call.resolve(value)
    try {
      return await promise
    } finally {
      this.#running--
    }
  }

  get started(): T[] {
    return this.calls.map(({ value }) => value)
  }

  /** Calls that the test has not told to end. */
  get underWay(): Call<T>[] {
    return [...this.#open]
  }

  /** Ends the call for this value that is under way. */
  end(value: T, result: T = value): void {
    this.#of(value).resolve(result)
  }

  fail(value: T, error: unknown): void {
    this.#of(value).reject(error)
  }

  /** Ends all that are under way, and from then on every call at once. */
  open(): void {
    this.opened = true
    for (const { value, resolve } of this.underWay) resolve(value)
  }

  #of(value: T): Call<T> {
    const found = this.underWay.find((call) => call.value === value)
    if (found === undefined) throw new Error(`no call for ${String(value)} is under way`)
    return found
  }
}
