import type { Exemplar, Label } from './model.ts'
import { describe, InvalidSeriesError, quote } from './problems.ts'
import type { SeriesRules } from './series-layout.ts'
import { isOtherIterable, labelList, notLabels } from './time-series.ts'
import { compareUtf8 } from './utf8.ts'
import { numberProblem, timeProblems } from './validate-histogram.ts'

const LEGACY_LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/**
 * The exemplar with its labels as they are sent.
 *
 * @param problems - what is wrong with it is added.
 */
export function checkedExemplar(
  exemplar: Exemplar,
  { validation, protocol }: SeriesRules,
  place: string,
  problems: string[],
): Exemplar {
  if (typeof exemplar !== 'object' || exemplar === null) {
    problems.push(`${place} must be an object, got ${describe(exemplar)}`)
    return exemplar
  }
  problems.push(...numberProblem(exemplar.value, `${place}: value`), ...timeProblems(exemplar, place))
  const { labels: all }: { readonly labels?: unknown } = exemplar
  if (all !== undefined && (typeof all !== 'object' || all === null)) {
    problems.push(`${place}: labels must be an object or a list, got ${describe(all)}`)
    return exemplar
  }
  if (all !== undefined && isOtherIterable(all)) {
    problems.push(`${place}: ${notLabels(all)}`)
    return exemplar
  }
  const given = labelList(exemplar.labels)
  for (const [index, label] of given.entries()) {
    if (typeof label?.name !== 'string' || typeof label.value !== 'string') {
      problems.push(`${place}: label ${index} must have a name and a value, both strings`)
      return exemplar
    }
  }
  if (validation === 'off') return exemplar
  const labels = given.filter(({ value }) => value !== '').toSorted((a, b) => compareUtf8(a.name, b.name))
  if (validation === 'strict') {
    if (labels.length < given.length) problems.push(`${place}: a label must not have an empty value`)
    else if (labels.some((label, index) => label !== given[index]))
      problems.push(`${place}: labels must be sorted by their names`)
  }
  problems.push(...labelProblems(labels, protocol === '1.0', place))
  return { labels, value: exemplar.value, timestamp: exemplar.timestamp }
}

function* labelProblems(labels: readonly Label[], isLegacy: boolean, place: string): Generator<string> {
  for (const [index, { name, value }] of labels.entries()) {
    if (name === '') yield `${place}: a label must have a name, got ''`
    else if (!name.isWellFormed()) yield `${place}: a label's name must be well-formed Unicode, got ${quote(name)}`
    else if (isLegacy && !LEGACY_LABEL_NAME.test(name)) {
      yield `${place}: remote write 1.0 wants label names of letters, digits and '_', got ${quote(name)}`
    }
    if (!value.isWellFormed())
      yield `${place}: label ${quote(name)}: a value must be well-formed Unicode, got ${quote(value)}`
    if (name === labels[index - 1]?.name)
      yield `${place}: label names must not repeat, got ${quote(name)} more than once`
  }
}

/** @throws InvalidSeriesError if there are any. */
export function throwIfAny(metricName: unknown, problems: readonly string[]): void {
  if (problems.length > 0) throw new InvalidSeriesError(metricName, problems)
}
