/** Those who wait until the watermark has passed a barrier. */
export class Barriers {
  readonly #waiters: { readonly barrier: number; readonly resolve: () => void }[] = []

  /** Resolves when the watermark has come to the barrier. */
  wait(barrier: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push({ barrier, resolve })
    })
  }

  advancedTo(watermark: number): void {
    for (let index = this.#waiters.length - 1; index >= 0; index--) {
      const waiter = this.#waiters[index]
      if (waiter === undefined || waiter.barrier > watermark) continue
      this.#waiters.splice(index, 1)
      waiter.resolve()
    }
  }

  /** Nobody is told any more. */
  end(): void {
    this.#waiters.length = 0
  }
}
