/** Bytes that may be held at one time, handed out first come, first served. */
export class ByteBudget {
  readonly #limit: number
  readonly #waiting: { readonly bytes: number; readonly grant: () => void }[] = []
  #held = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get held(): number {
    return this.#held
  }

  /** Resolves when the bytes are granted. Rejects never; a waiter of an aborted signal is dropped and resolves false. */
  acquire(bytes: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false)
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#held += bytes
      return Promise.resolve(true)
    }
    return new Promise((resolve) => {
      const waiter = {
        bytes,
        grant: () => {
          signal.removeEventListener('abort', onAbort)
          resolve(true)
        },
      }
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        resolve(false)
        this.#grant()
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(waiter)
    })
  }

  release(bytes: number): void {
    this.#held -= bytes
    this.#grant()
  }

  #grant(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#held += next.bytes
      next.grant()
    }
  }

  /** A request above the limit is granted when nothing is held: it must not wait for ever. */
  #fits(bytes: number): boolean {
    return this.#held + bytes <= this.#limit || this.#held === 0
  }
}
