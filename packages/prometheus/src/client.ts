import {
  type Clock,
  type JobStatus,
  openSink,
  type OpenSink,
  type Sink,
  SluiceError,
  SPI_VERSION,
  systemClock,
} from '@sluice/core'
import { clientOptions, type RemoteWriteClientOptions } from './client-options.ts'
import type { Labels, MetricMetadata } from './model.ts'
import type { SeriesLike } from './options-sink.ts'
import { Entry, type Series } from './series.ts'
import { LiveSeries, staleMarker } from './stale.ts'
import { EntryFactory } from './writer-entries.ts'
import { ConfirmedSamples } from './writer-confirmed.ts'
import { PrometheusSinkWriter } from './writer.ts'

/** The labels of one series. */
export interface SeriesDescription {
  /** The metric name. */
  readonly name: string
  /** @default none */
  readonly labels?: Labels
  /** What the metric is: sent with the series by remote write 2.0, told by itself by 1.0 (see `metadataIntervalMs`). */
  readonly metadata?: MetricMetadata
}

/** Where a handle's samples go. */
interface HandleTarget {
  current(series: Series): Series
  push(entry: Entry): Promise<void> | undefined
}

/** One series of a {@link RemoteWriteClient}: its labels were looked at once, and are not looked at again. */
export class SeriesHandle {
  #series: Series
  readonly #target: HandleTarget

  /** @internal use {@link RemoteWriteClient.series} */
  constructor(series: Series, target: HandleTarget) {
    this.#series = series
    this.#target = target
  }

  /** The one that the table has now: it forgets series when there are very many, and would make another one for the same labels. @internal */
  get series(): Series {
    if (this.#series.isEvicted) this.#series = this.#target.current(this.#series)
    return this.#series
  }

  /**
   * Takes one sample. Those of a series must come in the order of their timestamps.
   *
   * @param timestampMs - milliseconds since 1970, an integer. @default now
   * @returns undefined while there is room; otherwise await it before the next sample.
   * @throws TypeError for a value or a timestamp that is not what it should be.
   */
  add(value: number, timestampMs: number = Date.now()): Promise<void> | undefined {
    if (typeof value !== 'number') throw new TypeError(`a value must be a number, got ${typeof value}`)
    return this.#target.push(new Entry(this.series, value, checkedTimestamp(timestampMs), 0, false, undefined))
  }
}

/**
 * Writes samples to a receiver of remote write, without a job: batches, order, repeats, isolation, dead letters and metrics are those
 * of {@link PrometheusSink}.
 *
 * A series that the receiver refuses goes to `deadLetters`; without them `errorHandlingBehaviorConfiguration` counts: by default it is
 * dropped, counted and logged.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` with every problem of the options.
 * @example
 * ```ts
 * await using client = new RemoteWriteClient({ prometheusRemoteWriteUrl: 'http://localhost:9090/api/v1/write' })
 * const idle = client.series({ name: 'cpu_seconds_total', labels: { mode: 'idle' } })
 * await idle.add(12.5)
 * await client.write({ name: 'up', labels: { instance: 'a:9100' }, value: 1, timestamp: Date.now() })
 * await client.flush() // from here on each has its outcome: status() counts what was dropped
 * ```
 */
export class RemoteWriteClient implements AsyncDisposable {
  /** Resolves when the client was closed with everything settled; rejects with what ended it otherwise. */
  readonly done: Promise<void>
  readonly #factory: EntryFactory<SeriesLike | Entry>
  readonly #open: OpenSink<SeriesLike | Entry>
  readonly #target: HandleTarget
  readonly #clock: Clock
  readonly #closeDeadlineMs: number
  readonly #live: LiveSeries | undefined
  #closing: Promise<void> | undefined

  constructor(options: RemoteWriteClientOptions) {
    const { sink: resolved, open, staleMarkersOnClose } = clientOptions(options)
    const live = staleMarkersOnClose ? new LiveSeries() : undefined
    const factory = new EntryFactory<SeriesLike | Entry>(resolved, live && ((entry) => live.saw(entry)))
    const confirmed = new ConfirmedSamples()
    const sink: Sink<SeriesLike | Entry> = {
      spiVersion: SPI_VERSION,
      uid: resolved.uid,
      repeats: 'idempotent',
      createWriter: (context) => new PrometheusSinkWriter(context, resolved, factory, confirmed),
    }
    this.#live = live
    this.#factory = factory
    this.#clock = open.clock ?? systemClock
    this.#closeDeadlineMs = open.closeDeadlineMs ?? DEFAULT_CLOSE_DEADLINE_MS
    this.#open = openSink(sink, open)
    this.#target = {
      current: (series) => factory.current(series),
      push: (entry) => this.#open.write(entry),
    }
    this.done = this.#open.done
  }

  /**
   * A handle for samples of one series. Ask once and keep it: what it saves is the look-up.
   *
   * @throws InvalidSeriesError with everything that is wrong with the labels.
   */
  series({ name, labels, metadata }: SeriesDescription): SeriesHandle {
    return new SeriesHandle(this.#factory.series(name, labels, metadata), this.#target)
  }

  /**
   * Takes series or flat records, one or a list. Do not change them afterwards. When {@link RemoteWriteClient.flush} has resolved, each
   * has its outcome, and {@link RemoteWriteClient.status} counts those that were written and dropped.
   *
   * @returns undefined while there is room; otherwise await it before the next ones. It rejects when the client has failed or was closed.
   */
  write(given: SeriesLike | readonly SeriesLike[]): Promise<void> | undefined {
    let full: Promise<void> | undefined
    for (const each of isList(given) ? given : [given]) full = this.#open.write(each)
    return full
  }

  /**
   * Tells that a series has ended: a receiver would otherwise show its last value for five minutes more.
   *
   * @param timestampMs - milliseconds since 1970, later than its last sample. @default now
   * @throws InvalidSeriesError, TypeError for labels or a timestamp that are not what they should be.
   */
  markStale(
    target: SeriesHandle | SeriesDescription,
    timestampMs: number = this.#clock.wallNow(),
  ): Promise<void> | undefined {
    const series = target instanceof SeriesHandle ? target.series : this.#factory.series(target.name, target.labels)
    return this.#open.write(staleMarker(series, checkedTimestamp(timestampMs)))
  }

  /**
   * Sends partial batches now. Resolves when everything taken before has its outcome, which need not be that it was stored: what the
   * receiver refuses is dropped or becomes a dead letter, see `sinks` in {@link RemoteWriteClient.status}.
   *
   * @throws SluiceError what ended the client.
   */
  flush(): Promise<void> {
    return this.#open.flush()
  }

  /**
   * Writes what was taken, with a stale marker for each series where `staleMarkersOnClose` is true, and ends. Idempotent.
   *
   * @throws SluiceError what ended the client; `SLUICE_DEADLINE_EXCEEDED` when `closeDeadlineMs` was not enough.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Ends at once: what has no outcome is given up, and may or may not have been stored. Never rejects. */
  abort(): Promise<void> {
    return this.#open.abort()
  }

  status(): JobStatus {
    return this.#open.status()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    if (this.#live === undefined) return await this.#open.close()
    const expired = new AbortController()
    // One deadline for what was taken and for the markers: that of the sink begins when they were written.
    const expiry = this.#clock.after(this.#closeDeadlineMs, () => {
      expired.abort()
      void this.#open.abort()
    })
    try {
      await this.#endSeries(this.#live, expired.signal)
      await this.#open.close()
    } catch (error) {
      if (!expired.signal.aborted || !SluiceError.isInstance(error) || error.code !== 'SLUICE_CLOSED') throw error
      const message = `not closed within ${this.#closeDeadlineMs} ms (closeDeadlineMs): ${error.message}`
      throw new SluiceError('SLUICE_DEADLINE_EXCEEDED', message, { facts: error.facts, cause: error })
    } finally {
      expiry.cancel()
    }
  }

  /** What fails here makes the close fail too, which tells why. */
  async #endSeries(live: LiveSeries, expired: AbortSignal): Promise<void> {
    // Before it what was taken last may not have been looked at.
    await this.#open.flush().catch(() => undefined)
    for (const marker of live.markers(this.#clock.wallNow())) {
      if (expired.aborted) return
      const room = this.#open.write(marker)
      if (room !== undefined) await room.catch(() => undefined)
    }
  }
}

const DEFAULT_CLOSE_DEADLINE_MS = 30_000

function checkedTimestamp(timestampMs: number): number {
  if (Number.isSafeInteger(timestampMs)) return timestampMs
  throw new TypeError(`a timestamp must be an integer, milliseconds since 1970, got ${String(timestampMs)}`)
}

function isList(given: SeriesLike | readonly SeriesLike[]): given is readonly SeriesLike[] {
  return Array.isArray(given)
}
