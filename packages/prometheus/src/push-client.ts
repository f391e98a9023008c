import { type Clock, type JobStatus, type Logger, MetricRegistry, SluiceError, systemClock } from '@sluice/core'
import { RemoteWriteClient } from './client.ts'
import type { RemoteWriteClientOptions } from './client-options.ts'
import type { PrometheusTimeSeries } from './model.ts'

/** What is used of a {@link RemoteWriteClient}. */
export interface SeriesClient {
  write(series: readonly PrometheusTimeSeries[]): Promise<void> | undefined
  flush(): Promise<void>
  close(): Promise<void>
  status(): Pick<JobStatus, 'sinks'>
}

function lostIn({ sinks }: Pick<JobStatus, 'sinks'>): number {
  return Object.values(sinks).reduce((sum, { dropped, deadLettered }) => sum + dropped + deadLettered, 0)
}

/** Longer delays do not fit into a timer of Node.js. */
export const MAX_DELAY_MS = 0x7fff_ffff

/** A process that has nothing else to do must not live on for its metrics. */
export const backgroundClock: Clock = {
  ...systemClock,
  after(delayMs, callback) {
    const timeout = setTimeout(callback, Math.min(Math.max(delayMs, 0), MAX_DELAY_MS))
    timeout.unref()
    return { cancel: () => clearTimeout(timeout) }
  },
}

/**
 * Keeps the process alive until the promise is settled: timers of {@link backgroundClock} do not, and a program that awaits must go on.
 * The promise must have a deadline.
 */
export async function held<T>(promise: Promise<T>): Promise<T> {
  const hold = setInterval(() => undefined, MAX_DELAY_MS)
  try {
    return await promise
  } finally {
    clearInterval(hold)
  }
}

/** Where series are written to: a client that was given, or one that is made, and made anew when it has failed. */
export class PushTarget {
  readonly #given: SeriesClient | undefined
  readonly #make: () => RemoteWriteClient
  #made: RemoteWriteClient | undefined
  /** Series that were dropped or dead-lettered, as far as it was seen. */
  #lost = 0
  #isAborted = false

  /** @throws SluiceError `SLUICE_OPTIONS_INVALID` when a client cannot be made. */
  constructor(
    given: SeriesClient | undefined,
    options: RemoteWriteClientOptions | undefined,
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#given = given
    // One for all that are made: the counts then go on from one client to the next.
    const metrics = options?.metrics ?? new MetricRegistry()
    this.#make = () => new RemoteWriteClient({ clock, logger, ...options, metrics } as RemoteWriteClientOptions)
    if (given === undefined) this.#made = this.#make()
  }

  /**
   * Writes the series and waits until the receiver has confirmed them.
   *
   * A flush also ends when what was taken is dropped or dead-lettered, so the counts of both are compared. What another user of the same
   * client loses meanwhile is told too: better one failure too many than one too few.
   *
   * @throws SluiceError `SLUICE_SINK_FAILED` when not all of it was written, `SLUICE_CLOSED` after an abort, and what ended the client.
   */
  async write(series: readonly PrometheusTimeSeries[]): Promise<void> {
    this.#throwIfAborted()
    if (series.length === 0) return
    const client: SeriesClient = this.#given ?? (this.#made ??= this.#make())
    // The counts of a client go on over its attempts; while one begins, it tells none.
    const before = Math.max(this.#lost, lostIn(client.status()))
    try {
      await client.write(series)
      await client.flush()
    } catch (error) {
      // One that has ended takes nothing any more; the next series are for another.
      if (this.#made !== undefined && this.#made.status().state === 'failed') this.#made = undefined
      throw error
    } finally {
      this.#lost = Math.max(before, lostIn(client.status()))
    }
    this.#throwIfAborted()
    const lost = this.#lost - before
    if (lost === 0) return
    throw new SluiceError(
      'SLUICE_SINK_FAILED',
      `${lost} of ${series.length} series were not written: they were dropped or dead-lettered, and the log of the client says why`,
      { facts: { lost, series: series.length } },
    )
  }

  /**
   * Closes what was made.
   *
   * @throws SluiceError what ended it.
   */
  async close(): Promise<void> {
    await this.#made?.close()
  }

  /** Ends what was made at once; nothing more is written, nor told to be. Never rejects. */
  async abort(): Promise<void> {
    this.#isAborted = true
    await this.#made?.abort()
  }

  #throwIfAborted(): void {
    if (this.#isAborted) throw new SluiceError('SLUICE_CLOSED', 'what was to be written has been given up')
  }
}
