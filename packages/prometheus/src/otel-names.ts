import type { Attributes } from '@opentelemetry/api'
import type { LabelPair } from './push-series.ts'

/** What a metric of OpenTelemetry is to Prometheus. */
export type NamedKind = 'counter' | 'gauge' | 'updown' | 'histogram'

/** Words of Prometheus for units of UCUM. */
const UNITS: ReadonlyMap<string, string> = new Map([
  ['d', 'days'],
  ['h', 'hours'],
  ['min', 'minutes'],
  ['s', 'seconds'],
  ['ms', 'milliseconds'],
  ['us', 'microseconds'],
  ['ns', 'nanoseconds'],
  ['By', 'bytes'],
  ['KiBy', 'kibibytes'],
  ['MiBy', 'mebibytes'],
  ['GiBy', 'gibibytes'],
  ['TiBy', 'tebibytes'],
  ['kBy', 'kilobytes'],
  ['KBy', 'kilobytes'],
  ['MBy', 'megabytes'],
  ['GBy', 'gigabytes'],
  ['TBy', 'terabytes'],
  ['m', 'meters'],
  ['V', 'volts'],
  ['A', 'amperes'],
  ['J', 'joules'],
  ['W', 'watts'],
  ['g', 'grams'],
  ['Cel', 'celsius'],
  ['Hz', 'hertz'],
  ['1', ''],
  ['%', 'percent'],
])

const PER_UNITS: ReadonlyMap<string, string> = new Map([
  ['s', 'second'],
  ['m', 'minute'],
  ['h', 'hour'],
  ['d', 'day'],
  ['w', 'week'],
  ['mo', 'month'],
  ['y', 'year'],
])

/**
 * The name that Prometheus gives a metric: characters that it does not know become `_`, the unit is spelled out at the end, counters
 * end with `_total`, and gauges of the unit `1` with `_ratio`. Empty when nothing is left.
 *
 * See https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
 */
export function prometheusMetricName(name: string, unit: string, kind: NamedKind): string {
  let words = wordsOf(name)
  if (words.length === 0) return ''
  for (const word of unitWords(unit)) if (!words.includes(word)) words.push(word)
  if (kind === 'counter') words = atTheEnd(words, 'total')
  if (kind === 'gauge' && unit === '1') words = atTheEnd(words, 'ratio')
  const joined = words.join('_')
  return /^\d/.test(joined) ? `_${joined}` : joined
}

/** The unit in words, as it is part of the name: `bytes_per_second`. */
export function unitInWords(unit: string): string {
  return unitWords(unit).join('_')
}

/** Units in braces are annotations and say nothing. */
function unitWords(unit: string): string[] {
  const slash = unit.indexOf('/')
  const main = (slash < 0 ? unit : unit.slice(0, slash)).trim()
  const per = slash < 0 ? '' : unit.slice(slash + 1).trim()
  const mainWord = /[{}]/.test(main) ? '' : wordsOf(UNITS.get(main) ?? main).join('_')
  const perWord = /[{}]/.test(per) ? '' : wordsOf(PER_UNITS.get(per) ?? per).join('_')
  return [mainWord, perWord === '' ? '' : `per_${perWord}`].filter((word) => word !== '')
}

function wordsOf(text: string): string[] {
  return text.split(/[^A-Za-z0-9:]+/).filter((word) => word !== '')
}

function atTheEnd(words: readonly string[], last: string): string[] {
  return [...words.filter((word) => word !== last), last]
}

/** The name of a label for that of an attribute. Never one that Prometheus keeps for itself, which begin with `__`. */
function labelName(attribute: string): string {
  const name = attribute.replaceAll(/[^A-Za-z0-9_]+/g, '_')
  if (/^\d/.test(name)) return `key_${name}`
  return name.startsWith('_') ? `key${name}` : name
}

/**
 * Attributes as labels. Of attributes whose labels have one name the values are joined by `;`, in the order of the attributes' names.
 *
 * @param fixed - labels that no attribute may change.
 */
export function labelsOf(attributes: Attributes, fixed: readonly LabelPair[]): LabelPair[] {
  const labels = new Map<string, string>()
  for (const key of Object.keys(attributes).toSorted()) {
    const value: unknown = attributes[key]
    if (key === '' || value === undefined || value === null) continue
    const name = labelName(key)
    const text = (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).toWellFormed()
    const before = labels.get(name)
    labels.set(name, before === undefined ? text : `${before};${text}`)
  }
  for (const [name, value] of fixed) labels.set(name, value)
  return [...labels].filter(([, value]) => value !== '')
}
