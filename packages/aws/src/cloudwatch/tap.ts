import type { Counter, MetricDefinition, MetricGroup, MetricSample } from '@sluice/core'

type Labels = Readonly<Record<string, string>>

/** Metrics of one part of a job, which reach the job's registry as well. */
export interface MetricTap {
  /** Where that part makes its metrics. */
  readonly group: MetricGroup
  /** What was made there, with its value now; without the labels of the group that was tapped. A counter begins at 0. */
  collect(): readonly MetricSample[]
}

/**
 * Makes a group whose metrics can be reported by themselves, such as those of one sink: a writer gets a `MetricGroup`, which cannot be
 * collected.
 *
 * @example
 * ```ts
 * const tap = tapMetrics(context.metrics)
 * const reporter = cloudWatchMetrics(tap, { client, dimensions: { sink: context.sinkUid } })
 * const counter = tap.group.counter(definition) // is in the job's registry too
 * ```
 */
export function tapMetrics(group: MetricGroup): MetricTap {
  const tapped = new Map<string, Tapped>()
  return {
    group: tapGroup(group, {}, tapped),
    collect: () =>
      [...tapped.values()]
        .map(({ definition, labels, read }) => ({ definition, labels, value: read() }))
        .filter(({ value }) => !Number.isNaN(value)),
  }
}

interface Tapped {
  readonly definition: MetricDefinition
  readonly labels: Labels
  readonly read: () => number
}

function tapGroup(group: MetricGroup, outer: Labels, tapped: Map<string, Tapped>): MetricGroup {
  const keyOf = ({ name }: MetricDefinition, labels: Labels): string =>
    JSON.stringify([name, ...Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))])
  return {
    counter(definition, own = {}): Counter {
      const counter = group.counter(definition, own)
      const labels = { ...outer, ...own }
      const key = keyOf(definition, labels)
      // It spans the attempts of a job; an attempt before this one has reported its part.
      const start = counter.value
      if (!tapped.has(key)) tapped.set(key, { definition, labels, read: () => counter.value - start })
      return counter
    },
    gauge(definition, read, own = {}): () => void {
      const remove = group.gauge(definition, read, own)
      const labels = { ...outer, ...own }
      const key = keyOf(definition, labels)
      // A gauge may read a counter under another name.
      const start = definition.kind === 'counter' ? read() : 0
      const entry = { definition, labels, read: () => read() - start }
      tapped.set(key, entry)
      return () => {
        remove()
        if (tapped.get(key) === entry) tapped.delete(key)
      }
    },
    group: (labels) => tapGroup(group.group(labels), { ...outer, ...labels }, tapped),
  }
}
