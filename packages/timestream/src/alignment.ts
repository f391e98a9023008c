import type { _Record } from '@aws-sdk/client-timestream-write'
import { SluiceError } from '@sluice/core'
import type { BatchConverter } from './options.ts'

const FIELDS = ['Time', 'MeasureName', 'MeasureValue', 'MeasureValues', 'Dimensions', 'Version'] as const

/**
 * The converter, whose records are looked at: one that sorts them would have a rejection charged to another record than the one that was
 * rejected, which then counts as stored.
 *
 * Records that stand at other places are found by their fields: what one of them was given must not be what another one has. A
 * converter may change and leave out fields.
 */
export function keepingOrder(batchConverter: BatchConverter): BatchConverter {
  return (records) => {
    // Before: it may sort the list that it is given.
    const given = columnsOf(records)
    const made = batchConverter(records)
    const list: unknown = Reflect.get(Object(made), 'Records')
    // Another length is told by whoever makes the request.
    if (!Array.isArray(list) || list.length !== given[0]?.length) return made
    const found = columnsOf(list as readonly _Record[])
    // One field that tells the records apart, and is where it was, is enough: others may have changed.
    if (found.some((column, at) => staysApart(given[at] as readonly unknown[], column))) return made
    for (const [at, column] of found.entries()) {
      const moved = firstMoved(given[at] as readonly unknown[], column)
      if (moved === undefined) continue
      throw new SluiceError(
        'SLUICE_BATCH_CONVERTER_NOT_ALIGNED',
        `batchConverter must return its ${column.length} records in their order; Records[${moved}] is not made of records[${moved}], ` +
          `as its ${FIELDS[at - 1] ?? 'identity'} shows. Sort in the pipeline, or leave batchConverter out: the sink then sorts by itself.`,
        { facts: { expected: column.length, moved } },
      )
    }
    return made
  }
}

/** The records, then each of the fields. */
function columnsOf(records: readonly _Record[]): readonly (readonly unknown[])[] {
  return [[...records], ...FIELDS.map((field) => records.map((record): unknown => Reflect.get(Object(record), field)))]
}

function staysApart(before: readonly unknown[], after: readonly unknown[]): boolean {
  return after.every((value, at) => value === before[at]) && new Set(before).size === before.length
}

/** Where the first value is that another place had before; undefined if none has moved, or if there are new ones. */
function firstMoved(before: readonly unknown[], after: readonly unknown[]): number | undefined {
  const moved = after.findIndex((value, at) => value !== before[at])
  if (moved === -1) return undefined
  const left = new Map<unknown, number>()
  for (const value of before) left.set(value, (left.get(value) ?? 0) + 1)
  for (const value of after) {
    const count = left.get(value) ?? 0
    if (count === 0) return undefined
    left.set(value, count - 1)
  }
  return moved
}
