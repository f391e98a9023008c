/** True for a promise where none is allowed. */
export function isThenable(given: unknown): given is PromiseLike<unknown> {
  return typeof given === 'object' && given !== null && 'then' in given
}

/**
 * A promise that is refused has no reader: were it to reject, it would end the process. For what a user's function gave where the
 * sink needs a value; other values are left alone.
 */
export function ignoreRejection(given: unknown): void {
  if (isThenable(given)) Promise.resolve(given).catch(() => undefined)
}

/** The same for every value of a record that is refused. */
export function ignoreRejectionsIn(record: object): void {
  for (const field of Object.values(record)) {
    ignoreRejection(field)
    if (!Array.isArray(field)) continue
    for (const item of field as readonly unknown[]) {
      ignoreRejection(item)
      if (typeof item === 'object' && item !== null) for (const part of Object.values(item)) ignoreRejection(part)
    }
  }
}
