import type { OptionsCheck } from '@sluice/core'
import { fieldOf } from './fields.ts'

/**
 * Where the version of a record comes from: the name of a field of the value, a function, or a position of the source.
 *
 * Positions make a replay harmless: the same input has the same version again. `kafkaOffset` gives a Kafka offset, and the version is
 * offset + 1, since versions begin at 1; a topic that is made anew begins at 0 again, and its records are then rejected as older.
 * `kinesisArrival` gives the approximate arrival time of a Kinesis record, and the version is its milliseconds; sequence numbers do
 * not fit, having about 56 digits, and two records of one key that arrive in one millisecond have one version. SQS messages have
 * no position: use a field.
 *
 * @example
 * ```ts
 * version: { kafkaOffset: (value) => value.offset }
 * ```
 */
export type VersionFrom<In> =
  | string
  | ((value: In) => number | bigint | undefined)
  | { readonly kafkaOffset: (value: In) => number | bigint | string }
  | { readonly kinesisArrival: (value: In) => Date | number }

/** Gives the version of a value as it is, to be checked with the record. */
export type VersionReader<In> = (value: In) => unknown

export function versionReader<In>(from: VersionFrom<In> | undefined): VersionReader<In> {
  if (from === undefined) return () => undefined
  if (typeof from === 'string') return (value) => fieldOf(value, from) ?? undefined
  if (typeof from === 'function') return from
  if ('kafkaOffset' in from) return (value) => offsetVersion(from.kafkaOffset(value))
  return (value) => arrivalVersion(from.kinesisArrival(value))
}

/** What is no position is refused as a version; where there is none, `null` is: undefined would mean that none was asked for. */
function arrivalVersion(arrived: unknown): unknown {
  if (arrived instanceof Date) return arrived.getTime()
  return typeof arrived === 'number' ? Math.floor(arrived) : (arrived ?? null)
}

function offsetVersion(offset: unknown): unknown {
  const isWhole = typeof offset === 'string' ? /^\d+$/.test(offset) : Number.isSafeInteger(offset)
  return isWhole || typeof offset === 'bigint' ? BigInt(offset as string | number | bigint) + 1n : (offset ?? null)
}

export function checkVersion(check: OptionsCheck, name: string, from: unknown): void {
  if (from === undefined || typeof from === 'function' || (typeof from === 'string' && from !== '')) return
  const [kind, ...more] = Object.entries(Object(from) as object)
  const isPosition = kind?.[0] === 'kafkaOffset' || kind?.[0] === 'kinesisArrival'
  if (typeof from === 'object' && isPosition && more.length === 0 && typeof kind?.[1] === 'function') return
  check.problem(
    `${name} must be the name of a field, a function, { kafkaOffset: fn } or { kinesisArrival: fn }, got ${from === null ? 'null' : typeof from}`,
  )
}
