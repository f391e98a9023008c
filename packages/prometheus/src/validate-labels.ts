import type { Label, Labels } from './model.ts'
import { describe, quote } from './problems.ts'
import { isLegacyMetricName, type SeriesLayout, type SeriesRules } from './series-layout.ts'
import { isLabelList, isOtherIterable, notLabels } from './time-series.ts'

export function isMetricName(name: string, { protocol }: SeriesRules): boolean {
  return protocol === '1.0' ? isLegacyMetricName(name) : name !== '' && name.isWellFormed()
}

/** What is wrong with the metric name, the names and the values of a series. */
export function labelProblems(
  layout: SeriesLayout,
  metricName: string,
  values: readonly string[],
  rules: SeriesRules,
): string[] {
  const { hasName, namePosition } = layout
  const problems: string[] = []
  const name = hasName ? metricName : values[namePosition]
  if (name !== undefined && !isMetricName(name, rules)) problems.push(metricNameProblem(name, rules))
  problems.push(...layout.problems)
  for (const [position, value] of values.entries()) {
    if (position === namePosition && !hasName) continue
    const place = `label ${quote(layout.nameAt(position))}`
    if (value === '' && rules.validation === 'strict') problems.push(`${place}: a value must not be empty, got ''`)
    if (!value.isWellFormed()) problems.push(`${place}: a value must be well-formed Unicode, got ${quote(value)}`)
  }
  return problems
}

/** What is not a string, or not labels at all. */
export function labelTypeProblems(metricName: unknown, labels: unknown): string[] {
  const problems: string[] = []
  if (typeof metricName !== 'string') problems.push(`a metric name must be a string, got ${describe(metricName)}`)
  if (labels === undefined) return problems
  if (typeof labels !== 'object' || labels === null) {
    return [...problems, `labels must be an object or a list, got ${describe(labels)}`]
  }
  if (isOtherIterable(labels)) return [...problems, notLabels(labels)]
  const pairs: readonly (readonly [unknown, unknown])[] = Array.isArray(labels)
    ? labels.map((label: Partial<Label> | null | undefined) => [label?.name, label?.value])
    : namesOf(labels as Labels).map((name) => [name, (labels as Readonly<Record<string, unknown>>)[name]])
  for (const [index, [name, value]] of pairs.entries()) {
    if (typeof name !== 'string') problems.push(`label ${index}: a name must be a string, got ${describe(name)}`)
    if (typeof value !== 'string') {
      problems.push(`label ${describe(name ?? index)}: a value must be a string, got ${describe(value)}`)
    }
  }
  return problems
}

export function namesOf(labels: Labels | undefined): string[] {
  if (labels === undefined) return []
  if (isLabelList(labels)) return labels.map(({ name }) => name)
  const names: string[] = []
  for (const name in labels) names.push(name)
  return names
}

/**
 * Lists the values of labels that have these names, in this order.
 *
 * @param values - is filled anew.
 * @returns false where the names are others.
 */
export function takeValues(labels: Labels | undefined, names: readonly string[], values: string[]): boolean {
  values.length = 0
  if (labels === undefined) return names.length === 0
  if (isLabelList(labels)) {
    if (labels.length !== names.length) return false
    for (let index = 0; index < labels.length; index++) {
      const { name, value } = labels[index] as Label
      if (name !== names[index]) return false
      values.push(value)
    }
    return true
  }
  let index = 0
  for (const name in labels) {
    if (name !== names[index++]) return false
    values.push(labels[name] as string)
  }
  return index === names.length
}

function metricNameProblem(name: string, { protocol }: SeriesRules): string {
  if (name === '') return "a metric name must not be empty, got ''"
  return protocol === '1.0'
    ? `remote write 1.0 wants metric names of letters, digits, '_' and ':' that do not begin with a digit, got ${quote(name)}`
    : `a metric name must be well-formed Unicode, got ${quote(name)}`
}
