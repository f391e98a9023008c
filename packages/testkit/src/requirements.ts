/**
 * Whether a test has to be skipped because something that it needs is missing on this machine.
 *
 * Prints one loud line for a skip. `SLUICE_REQUIRE=java,prometheus` names what must not be missing: then the skip is an
 * error.
 *
 * @param name - what is needed, as `SLUICE_REQUIRE` names it
 * @param available - whether it is there
 * @param reason - why it is not: `'java is not on the PATH'`
 * @returns true when the test has to be skipped
 * @throws Error when `name` is missing and `SLUICE_REQUIRE` names it
 *
 * @example
 * ```ts
 * test.skipIf(requireOrSkip('java', hasJava, 'java is not on the PATH'))('runs on a broker', ...)
 * ```
 */
export function requireOrSkip(name: string, available: boolean, reason: string): boolean {
  if (available) return false
  const required = (process.env['SLUICE_REQUIRE'] ?? '').split(',').map((entry) => entry.trim())
  if (required.includes(name)) throw new Error(`SLUICE_REQUIRE names ${name}, and it is missing: ${reason}`)
  process.stderr.write(`SKIPPED, needs ${name}: ${reason} (SLUICE_REQUIRE=${name} makes this a failure)\n`)
  return true
}
