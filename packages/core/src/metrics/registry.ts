/** What a metric is, declared once in a list per package; documentation and exporters are made from it. */
export interface MetricDefinition {
  /** camelCase, as FLIP-33 and the original connectors spell it. */
  readonly name: string
  readonly kind: 'counter' | 'gauge'
  readonly unit:
    | 'records'
    | 'requests'
    | 'bytes'
    | 'milliseconds'
    | 'batches'
    | 'checkpoints'
    | 'restarts'
    | 'splits'
    | 'events'
    | 'dimensions'
    | 'measures'
    | 'none'
  /** What it says and when it changes. */
  readonly help: string
}

/** A counter is a plain field, read when metrics are collected: `counter.value += n`. */
export interface Counter {
  value: number
}

/** A metric as it was read at one collection. */
export interface MetricSample {
  readonly definition: MetricDefinition
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Metrics under one set of labels. */
export interface MetricGroup {
  /** The counter of this definition and these labels; the same one when asked again, so that it spans attempts of a job. */
  counter(definition: MetricDefinition, labels?: Readonly<Record<string, string>>): Counter
  /**
   * Reads a value at collection; a later registration replaces an earlier one.
   *
   * @returns takes the gauge out again, unless a later registration has replaced it: for what does not live as long as the
   * registry, since `read` keeps what it refers to in memory.
   */
  gauge(definition: MetricDefinition, read: () => number, labels?: Readonly<Record<string, string>>): () => void
  /** A group whose metrics also carry these labels. */
  group(labels: Readonly<Record<string, string>>): MetricGroup
}

type Entry =
  | {
      readonly definition: MetricDefinition
      readonly labels: Readonly<Record<string, string>>
      readonly counter: Counter
    }
  | {
      readonly definition: MetricDefinition
      readonly labels: Readonly<Record<string, string>>
      readonly read: () => number
    }

/** Holds the metrics of a job (or of a connector used alone). */
export class MetricRegistry implements MetricGroup {
  readonly #entries = new Map<string, Entry>()

  counter(definition: MetricDefinition, labels: Readonly<Record<string, string>> = {}): Counter {
    const key = keyOf(definition, labels)
    const known = this.#entries.get(key)
    if (known !== undefined && 'counter' in known) return known.counter
    const counter = { value: 0 }
    this.#entries.set(key, { definition, labels, counter })
    return counter
  }

  gauge(definition: MetricDefinition, read: () => number, labels: Readonly<Record<string, string>> = {}): () => void {
    const key = keyOf(definition, labels)
    const entry = { definition, labels, read }
    this.#entries.set(key, entry)
    return () => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key)
    }
  }

  group(labels: Readonly<Record<string, string>>): MetricGroup {
    return new LabelledGroup(this, labels)
  }

  /** Every metric with its value now. A gauge that is not a number has none and is left out. */
  collect(): readonly MetricSample[] {
    const samples: MetricSample[] = []
    for (const entry of this.#entries.values()) {
      const value = 'counter' in entry ? entry.counter.value : entry.read()
      if (!Number.isNaN(value)) samples.push({ definition: entry.definition, labels: entry.labels, value })
    }
    return samples
  }
}

class LabelledGroup implements MetricGroup {
  readonly #registry: MetricRegistry
  readonly #labels: Readonly<Record<string, string>>

  constructor(registry: MetricRegistry, labels: Readonly<Record<string, string>>) {
    this.#registry = registry
    this.#labels = labels
  }

  counter(definition: MetricDefinition, labels?: Readonly<Record<string, string>>): Counter {
    return this.#registry.counter(definition, { ...this.#labels, ...labels })
  }

  gauge(definition: MetricDefinition, read: () => number, labels?: Readonly<Record<string, string>>): () => void {
    return this.#registry.gauge(definition, read, { ...this.#labels, ...labels })
  }

  group(labels: Readonly<Record<string, string>>): MetricGroup {
    return new LabelledGroup(this.#registry, { ...this.#labels, ...labels })
  }
}

function keyOf(definition: MetricDefinition, labels: Readonly<Record<string, string>>): string {
  const sorted = Object.keys(labels).sort()
  return JSON.stringify([definition.name, ...sorted.map((name) => [name, labels[name]])])
}
