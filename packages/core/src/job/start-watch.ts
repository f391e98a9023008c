import { SluiceError } from '../errors.ts'
import { type Clock, deadline, type Timer } from '../runtime/clock.ts'

/** Bounds each step of a start: a storage, a sink or a source that never answers must not keep a job from failing. */
export class StartWatch {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #expired = Promise.withResolvers<never>()
  #timer: Timer | undefined

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#expired.promise.catch(() => undefined)
  }

  /** Rejects with `SLUICE_DEADLINE_EXCEEDED`, which is restartable, when a step takes too long. */
  get expired(): Promise<never> {
    return this.#expired.promise
  }

  /** Ends the step before. */
  begin(step: string): void {
    this.end()
    const timeoutMs = this.#timeoutMs
    this.#timer = deadline(this.#clock, timeoutMs, () => {
      const message = `${step} did not end within ${timeoutMs} ms (startTimeoutMs)`
      this.#expired.reject(
        new SluiceError('SLUICE_DEADLINE_EXCEEDED', message, { restartable: true, facts: { step, timeoutMs } }),
      )
    })
  }

  end(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
