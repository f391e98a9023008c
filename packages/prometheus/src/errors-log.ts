import type { Logger, Reason } from '@sluice/core'

/** How much a request held. */
export interface Held {
  readonly series: number
  readonly samples: number
  /** Some of its metrics, by name. */
  readonly metrics: readonly string[]
}

/**
 * Says what went wrong: one line for a request, the receiver's words as they are, no stack, and nothing of the series but the names of
 * their metrics.
 */
export class FailureLog {
  readonly #logger: Logger
  readonly #url: string

  constructor(logger: Logger, shownUrl: string) {
    this.#logger = logger
    this.#url = shownUrl
  }

  /** At the first failure, and ever more seldom at those that follow it. */
  retried(reason: Reason, held: Held, destination: string, attempt: number, option: string): void {
    if ((attempt & (attempt - 1)) !== 0) return
    this.#logger.warn(
      { ...this.#fields(reason, held, destination), attempt },
      `A write request failed and is repeated: ${reason.message}. Option: ${option}.`,
    )
  }

  isolated(reason: Reason, held: Held, destination: string): void {
    this.#logger.warn(
      this.#fields(reason, held, destination),
      `The receiver refused a request of ${held.series} series for one of them, which is looked for by sending halves: ` +
        `${reason.message}. Option: maxIsolationRequests.`,
    )
  }

  dropped(reason: Reason, held: Held, destination: string, option: string): void {
    this.#logger.warn(
      this.#fields(reason, held, destination),
      `${held.series} series with ${held.samples} samples were dropped: ${reason.message}. Option: ${option}.`,
    )
  }

  refused(reason: Reason, held: Held, destination: string): void {
    this.#logger.error(
      this.#fields(reason, held, destination),
      `The receiver refused ${held.series} series with ${held.samples} samples: ${reason.message}. ` +
        'Option: errorHandlingBehaviorConfiguration.onPrometheusNonRetriableError.',
    )
  }

  untold(reason: Reason, destination: string): void {
    this.#logger.warn(
      { url: this.#url, ...(destination === '' ? {} : { destination }), code: reason.code },
      `What metrics are could not be told, and is told later; samples are not concerned: ${reason.message}. ` +
        'Option: metadataIntervalMs.',
    )
  }

  fellBack(reason: Reason, destination: string): void {
    this.#logger.info(
      { url: this.#url, ...(destination === '' ? {} : { destination }), code: reason.code },
      `The receiver does not take remote write 2.0, so 1.0 is sent from now on: ${reason.message}. Option: protocol.`,
    )
  }

  #fields(reason: Reason, { series, samples, metrics }: Held, destination: string): object {
    return {
      url: this.#url,
      ...(destination === '' ? {} : { destination }),
      code: reason.code,
      series,
      samples,
      metrics,
      ...(reason.requestId === undefined ? {} : { requestId: reason.requestId }),
    }
  }
}
