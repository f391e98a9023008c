import type { ElementConverter, TimestreamRecord } from './options.ts'

/**
 * Turns a value into records.
 *
 * @throws TypeError if the converter gives something else, such as a promise; whatever the converter throws.
 */
export function convertElement<In>(
  elementConverter: ElementConverter<In>,
  value: In,
  emit: (record: TimestreamRecord) => void,
): void {
  const converted = elementConverter(value)
  if (converted === undefined || converted === null) return
  if (!Array.isArray(converted)) {
    emit(checked(converted))
    return
  }
  // All are looked at before the first is taken: a value is refused whole or not at all.
  for (const record of converted) checked(record)
  for (const record of converted) emit(record)
}

function checked(record: unknown): TimestreamRecord {
  if (typeof record !== 'object' || record === null || Array.isArray(record) || 'then' in record) {
    const got = record === null ? 'null' : Array.isArray(record) ? 'an array' : typeof record
    const what = got === 'object' ? 'a promise' : got
    throw new TypeError(`elementConverter must return a record, a list of records or undefined, got ${what}`)
  }
  return record
}
