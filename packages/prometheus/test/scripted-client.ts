import type { PrometheusTimeSeries } from '../src/model.ts'
import type { SeriesClient } from '../src/push-client.ts'
import { labelList } from '../src/time-series.ts'

/** A client that remembers what it is given and settles it as it is told. */
export class ScriptedClient implements SeriesClient {
  readonly writes: (readonly PrometheusTimeSeries[])[] = []
  /** Asked for each write; what it returns is awaited by the flush. */
  decide: (number: number) => Promise<void> | void = () => undefined
  /** Of all attempts, as the counts of a client are. */
  dropped = 0
  /** While an attempt begins, a client tells of no sink. */
  isStarting = false
  closed = 0
  flushes = 0
  #settling: Promise<void> = Promise.resolve()

  write(series: readonly PrometheusTimeSeries[]): undefined {
    this.#settling = Promise.resolve(this.decide(this.writes.length))
    this.#settling.catch(() => undefined)
    this.writes.push(series)
  }

  flush(): Promise<void> {
    this.flushes++
    return this.#settling
  }

  close(): Promise<void> {
    this.closed++
    return Promise.resolve()
  }

  status(): ReturnType<SeriesClient['status']> {
    const sinks = { prometheus: { dropped: this.dropped, deadLettered: 0 } as never }
    return { sinks: this.isStarting ? {} : sinks }
  }

  /** Name, labels, value and timestamp of what was written, one a sample. */
  samples(write: number): (readonly [string, Record<string, string>, number | 'stale', number])[] {
    return (this.writes[write] ?? []).flatMap(({ metricName = '', labels, samples = [] }) =>
      samples.map(({ value, timestamp, stale }) => {
        const pairs = labelList(labels).map((label) => [label.name, label.value] as const)
        return [metricName, Object.fromEntries(pairs), stale === true ? 'stale' : value, timestamp] as const
      }),
    )
  }
}
