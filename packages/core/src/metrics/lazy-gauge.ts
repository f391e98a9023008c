import type { MetricDefinition, MetricGroup } from './registry.ts'

/** The last value of something that may never have one: it is registered with its first (FLIP-33). */
export class LazyGauge {
  #value: number = Number.NaN
  #unregister: (() => void) | undefined
  readonly #register: () => () => void

  constructor(group: MetricGroup, definition: MetricDefinition, labels: Readonly<Record<string, string>>) {
    this.#register = () => group.gauge(definition, () => this.#value, labels)
  }

  set(value: number): void {
    this.#value = value
    this.#unregister ??= this.#register()
  }

  /** Takes it out of the registry, which outlives it. */
  unregister(): void {
    this.#unregister?.()
    this.#unregister = undefined
  }
}
