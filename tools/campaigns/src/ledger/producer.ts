import { setTimeout as sleep } from 'node:timers/promises'
import type { GeneratedRecord, ProducedRecord } from '../campaign.ts'
import type { Generator } from './generator.ts'

const BATCH = 6
const PACE_MS = 25
/** Between batches beyond the allowance: a kill that waits for records in hand gets some. */
const TRICKLE_MS = 45

/** Puts records into the source all the time, as fast as the campaign allows, so that every kill finds some under way. */
export class Producer implements AsyncDisposable {
  /** What the source's service took in. */
  readonly produced: ProducedRecord[] = []
  readonly #generator: Generator
  readonly #put: (records: readonly GeneratedRecord[]) => Promise<readonly ProducedRecord[]>
  readonly #stop = new AbortController()
  #allowance = 0
  #running: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(generator: Generator, put: (records: readonly GeneratedRecord[]) => Promise<readonly ProducedRecord[]>) {
    this.#generator = generator
    this.#put = put
  }

  start(): void {
    this.#running = this.#run().catch((error: unknown) => {
      this.#failure = { error }
    })
  }

  /** Lets so many more records pass at full pace. @throws what went wrong in producing. */
  allow(records: number): void {
    this.#assertWell()
    this.#allowance += records
  }

  /** Ends when the allowance is used up. @throws what went wrong in producing. */
  async finish(): Promise<void> {
    this.#stop.abort()
    await this.#running
    this.#assertWell()
    while (this.produced.length < this.#allowance) await this.batch()
  }

  /** Puts a few more. @throws what went wrong. */
  async batch(): Promise<void> {
    const records = Array.from({ length: BATCH }, () => this.#generator.next())
    this.produced.push(...(await this.#put(records)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  #assertWell(): void {
    if (this.#failure !== undefined)
      throw new Error(`producing failed: ${String(this.#failure.error)}`, { cause: this.#failure.error })
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.batch()
      const pause = this.produced.length < this.#allowance ? PACE_MS : TRICKLE_MS
      await sleep(pause, undefined, { signal }).catch(() => undefined)
    }
  }
}
