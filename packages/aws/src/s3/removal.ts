import { type Clock, delay, type Logger, messageOf } from '@sluice/core'

/** Deletes after one store: a backlog goes over many. */
const MAX_DELETES = 100
/** What an end waits for the deletes: less than a job gives its parts at the end. */
const END_TIMEOUT_MS = 2_000

export interface RemovalPlan {
  /** Tries it once. */
  delete(name: string): Promise<void>
  /** Names an object for people. */
  place(name: string): string
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Deletes old checkpoints behind the back of the stores: one at a time, a bounded number after each store, and nothing waits for
 * it. A failure ends it until the next store.
 */
export class Removal {
  readonly #plan: RemovalPlan
  #names: string[] = []
  /** Failed, and come last: one that can never be deleted must not keep the others. */
  #again: string[] = []
  #left = 0
  #running: Promise<void> | undefined
  #isFailing = false
  #isEnded = false

  constructor(plan: RemovalPlan) {
    this.#plan = plan
  }

  /** Adds names, oldest first, and goes on with those that are left. */
  begin(names: readonly string[]): void {
    this.#names = this.#names.concat(names)
    this.#left = MAX_DELETES
    if (this.#isEnded || this.#count === 0) return
    this.#running ??= this.#run()
  }

  /** Forgets every name. Resolves when no delete is under way. */
  async clear(): Promise<void> {
    this.#names = []
    this.#again = []
    await this.#running
    // The one under way may have failed.
    this.#again = []
  }

  /** Starts nothing more. Resolves when what runs has ended, or after a while. */
  async end(): Promise<void> {
    this.#isEnded = true
    if (this.#running === undefined) return
    const ended = new AbortController()
    await Promise.race([this.#running, delay(this.#plan.clock, END_TIMEOUT_MS, ended.signal)])
    ended.abort()
  }

  get #count(): number {
    return this.#names.length + this.#again.length
  }

  async #run(): Promise<void> {
    let isOk = true
    while (isOk && this.#left-- > 0) {
      const name = this.#names.shift() ?? this.#again.shift()
      if (name === undefined) break
      isOk = await this.#delete(name)
    }
    this.#running = undefined
  }

  async #delete(name: string): Promise<boolean> {
    const { logger } = this.#plan
    try {
      await this.#plan.delete(name)
      this.#isFailing = false
      return true
    } catch (error) {
      if (!this.#isFailing && !this.#isEnded) {
        const facts = { name: this.#plan.place(name), left: this.#count + 1, error: messageOf(error) }
        logger.warn(facts, 'An old checkpoint could not be removed; it is tried again after the next ones')
      }
      this.#isFailing = true
      this.#again.push(name)
      return false
    }
  }
}
