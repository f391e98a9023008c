/** True for a promise where none is allowed. */
export function isThenable(given: unknown): given is PromiseLike<unknown> {
  return typeof given === 'object' && given !== null && 'then' in given
}

/** A request has its values five deep: records, a record, measures, a measure, its value. */
const MAX_DEPTH = 6

/**
 * A promise that is refused has no reader: were it to reject, it would end the process. For what a user's function gave where the
 * sink needs values, and for all that is in it; other values are left alone.
 *
 * @returns whether there was a promise.
 */
export function ignoreRejections(given: unknown, depth: number = MAX_DEPTH): boolean {
  if (typeof given !== 'object' || given === null) return false
  if (isThenable(given)) {
    Promise.resolve(given).catch(() => undefined)
    return true
  }
  let found = false
  if (depth > 0) for (const part of Object.values(given)) found = ignoreRejections(part, depth - 1) || found
  return found
}
