import type { MetricDefinition, MetricSample } from '@sluice/core'
import type { MetricDatum } from './sender.ts'

/** A value that is to be reported; of a counter, its growth. */
export interface Figure {
  readonly datum: MetricDatum
  /** Of a counter: what is reported of it once this is. */
  readonly counter?: { readonly key: string; readonly value: number }
}

/** Of one request, by CloudWatch. */
const MAX_DATA = 1000
const MAX_BYTES = 1_000_000

/** Of what stands around the values: namespace and names. */
const ENVELOPE_BYTES = 1024

const MAX_DIMENSIONS = 30

/** Largest value that CloudWatch takes. */
const MAX_VALUE = 2 ** 360

const UNITS: Partial<Record<MetricDefinition['unit'], MetricDatum['Unit']>> = {
  bytes: 'Bytes',
  milliseconds: 'Milliseconds',
  none: 'None',
}

/** Remembers how much of each counter has been reported. */
export class Reported {
  readonly #values = new Map<string, number>()

  /**
   * What there is to report: gauges as they are, counters by their growth. A counter that has never counted is left out, and so is
   * a value that CloudWatch does not take.
   */
  figures(samples: readonly MetricSample[], dimensions: Readonly<Record<string, string>>, wallMs: number): Figure[] {
    const figures: Figure[] = []
    for (const { definition, labels, value } of samples) {
      if (!Number.isFinite(value) || Math.abs(value) > MAX_VALUE) continue
      const Dimensions = dimensionsOf({ ...labels, ...dimensions })
      const common = {
        MetricName: definition.name,
        Dimensions,
        Timestamp: new Date(wallMs),
        Unit: UNITS[definition.unit] ?? 'Count',
      } as const
      if (definition.kind === 'gauge') {
        figures.push({ datum: { ...common, Value: value } })
        continue
      }
      const key = JSON.stringify([definition.name, labels])
      const before = this.#values.get(key) ?? 0
      if (value === 0 && before === 0) continue
      // A counter that begins anew has grown by what it has.
      const Value = value < before ? value : value - before
      figures.push({ datum: { ...common, Value }, counter: { key, value } })
    }
    return figures
  }

  /** These have been taken by CloudWatch. */
  note(figures: readonly Figure[]): void {
    for (const { counter } of figures) if (counter !== undefined) this.#values.set(counter.key, counter.value)
  }
}

/** As many figures in one request as CloudWatch takes. */
export function requestsOf(figures: readonly Figure[]): Figure[][] {
  const requests: Figure[][] = []
  let request: Figure[] = []
  let bytes = 0
  for (const figure of figures) {
    // Only ASCII is in it; the date is longer than the number that stands for it.
    const size = JSON.stringify(figure.datum).length + 1
    if (request.length > 0 && (request.length === MAX_DATA || bytes + size > MAX_BYTES - ENVELOPE_BYTES)) {
      requests.push(request)
      request = []
      bytes = 0
    }
    request.push(figure)
    bytes += size
  }
  if (request.length > 0) requests.push(request)
  return requests
}

function dimensionsOf(labels: Readonly<Record<string, string>>): MetricDatum['Dimensions'] {
  return Object.entries(labels)
    .map(([name, value]) => ({
      Name: ascii(name).replace(/^:+/, '').slice(0, 255),
      Value: ascii(value).slice(0, 1024),
    }))
    .filter(({ Name, Value }) => Name.trim() !== '' && Value.trim() !== '')
    .slice(0, MAX_DIMENSIONS)
}

/** CloudWatch takes nothing else. */
function ascii(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, '?')
}
