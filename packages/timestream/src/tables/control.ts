import type { TimestreamWriteClient } from '@aws-sdk/client-timestream-write'
import type { Clock } from '@sluice/core'

interface SendOptions {
  readonly abortSignal: AbortSignal
}

/** Asks about tables, and gives up what is not answered in time: a client of the caller may have no deadline of its own. */
export class Control {
  readonly #client: TimestreamWriteClient
  readonly #clock: Clock
  readonly #timeoutMs: number

  constructor(client: TimestreamWriteClient, clock: Clock, timeoutMs: number) {
    this.#client = client
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** @throws what the client throws; an error with the code `ETIMEDOUT`. */
  async ask<T>(send: (client: TimestreamWriteClient, options: SendOptions) => Promise<T>): Promise<T> {
    const aborter = new AbortController()
    const { promise: overdue, reject } = Promise.withResolvers<never>()
    const timer = this.#clock.after(this.#timeoutMs, () => {
      const error = new Error(`Timestream did not answer within ${this.#timeoutMs} ms (requestTimeout)`)
      reject(Object.assign(error, { name: 'TimeoutError', code: 'ETIMEDOUT' }))
      aborter.abort()
    })
    try {
      return await Promise.race([send(this.#client, { abortSignal: aborter.signal }), overdue])
    } finally {
      timer.cancel()
    }
  }
}
