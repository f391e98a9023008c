import type { MetricRegistry, MetricSample } from './registry.ts'

/** `numRecordsOut` becomes `sluice_num_records_out_total`: snake case, prefix, and `_total` for counters. */
export function prometheusName(name: string, kind: 'counter' | 'gauge'): string {
  const snake = name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
  return `sluice_${snake}${kind === 'counter' ? '_total' : ''}`
}

/** The metrics in Prometheus text format, or undefined when the optional package prom-client is not installed. */
export async function prometheusText(
  metrics: MetricRegistry,
): Promise<{ readonly contentType: string; readonly body: string } | undefined> {
  const client = await import('prom-client').catch(() => undefined)
  if (client === undefined) return undefined
  const registry = new client.Registry()
  for (const samples of byName(metrics.collect())) {
    const [first] = samples
    if (first === undefined) continue
    const { kind, help } = first.definition
    // prom-client wants every label name declared; a metric may have more labels in one place than in another.
    const labelNames = [...new Set(samples.flatMap(({ labels }) => Object.keys(labels)))]
    const configuration = { name: nameOf(first), help, labelNames, registers: [registry] }
    if (kind === 'counter') {
      const counter = new client.Counter(configuration)
      for (const { labels, value } of samples) counter.inc(labels, value)
    } else {
      const gauge = new client.Gauge(configuration)
      for (const { labels, value } of samples) gauge.set(labels, value)
    }
  }
  return { contentType: registry.contentType, body: await registry.metrics() }
}

/** By the name in Prometheus: two spellings of one name would otherwise fail the whole page. */
function byName(samples: readonly MetricSample[]): Iterable<readonly MetricSample[]> {
  return Map.groupBy(samples, nameOf).values()
}

function nameOf({ definition }: MetricSample): string {
  return prometheusName(definition.name, definition.kind)
}
