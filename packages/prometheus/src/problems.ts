const MAX_QUOTED = 80

/**
 * A series, or something in it, breaks the rules of remote write, so that no receiver would store it.
 *
 * @example
 * ```ts
 * try {
 *   table.series({ name: 'http requests', labels: {} })
 * } catch (error) {
 *   if (error instanceof InvalidSeriesError) console.error(error.problems)
 * }
 * ```
 */
export class InvalidSeriesError extends TypeError {
  override readonly name = 'InvalidSeriesError'
  /** Everything that is wrong with it: rule, value and place. */
  readonly problems: readonly string[]
  /** The metric name that was given; '' where there was none. */
  readonly metricName: string

  constructor(metricName: unknown, problems: readonly string[]) {
    super(`series ${describe(metricName)}: ${problems.join('; ')}`)
    this.metricName = typeof metricName === 'string' ? metricName : ''
    this.problems = problems
  }
}

/** A text in quotes, cut where it is long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}...` : text)
}

/** A value for a message. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  if (value === null || value === undefined) return String(value)
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`
}
