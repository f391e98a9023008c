/** A promise that many may await and that is made anew only after it was used: one allocation per wake-up, not per waiter. */
export class WakeUp {
  #promise: Promise<void> | undefined
  #resolve: (() => void) | undefined

  /** Resolves at the next {@link WakeUp.wake}. */
  wait(): Promise<void> {
    this.#promise ??= new Promise((resolve) => {
      this.#resolve = resolve
    })
    return this.#promise
  }

  wake(): void {
    const resolve = this.#resolve
    if (resolve === undefined) return
    this.#promise = undefined
    this.#resolve = undefined
    resolve()
  }
}
