import type { _Record } from '@aws-sdk/client-timestream-write'
import { stringifyJson } from '@sluice/aws/json-client'
import { SluiceError } from '@sluice/core'
import type { BatchConverter } from './options.ts'
import { ignoreRejections } from './unread.ts'

const FIELDS = ['Time', 'MeasureName', 'MeasureValue', 'MeasureValues', 'Dimensions', 'Version'] as const

/**
 * The converter, whose records are looked at: one that sorts them, or gives one of them twice, would have a rejection charged to
 * another record than the one that was rejected, which then counts as stored.
 *
 * Records that stand at other places are found by their fields: what one of them was given must not be what another one has. A
 * converter may change and leave out fields.
 */
export function keepingOrder(batchConverter: BatchConverter): BatchConverter {
  return (records) => {
    // Before: it may sort the list that it is given, and change its records.
    const before = [...records]
    const given = columnsOf(records)
    const contents = records.map((record) => stringifyJson(record))
    const made = batchConverter(records)
    try {
      checkOrder(made, before, given, contents)
    } catch (error) {
      ignoreRejections(made)
      throw error
    }
    return made
  }
}

function checkOrder(
  made: unknown,
  before: readonly _Record[],
  given: ReturnType<typeof columnsOf>,
  contents: readonly string[],
): void {
  const list: unknown = Reflect.get(Object(made), 'Records')
  // Another length is told by whoever makes the request.
  if (!Array.isArray(list) || list.length !== contents.length) return
  const misplaced = firstMisplaced(before, list, contents)
  if (misplaced !== undefined) throw notAligned(contents.length, misplaced, 'identity')
  if (list.every((record, at) => record === before[at])) return
  const found = columnsOf(list as readonly _Record[])
  // Fields that tell the records apart together, and are where they were, are enough: others may have changed.
  if (stayApart(given, found)) return
  for (const [at, field] of FIELDS.entries()) {
    const moved = firstMoved(given[at] as readonly unknown[], found[at] as readonly unknown[])
    if (moved !== undefined) throw notAligned(contents.length, moved, field)
  }
}

function notAligned(expected: number, moved: number, shownBy: string): SluiceError {
  return new SluiceError(
    'SLUICE_BATCH_CONVERTER_NOT_ALIGNED',
    `batchConverter must return its ${expected} records in their order; Records[${moved}] is not made of records[${moved}], ` +
      `as its ${shownBy} shows. Sort in the pipeline, or leave batchConverter out: the sink then sorts by itself.`,
    { facts: { expected, moved } },
  )
}

/** Each of the fields of all records. Dimensions are compared by what they say: a converter may build them anew. */
function columnsOf(records: readonly _Record[]): readonly (readonly unknown[])[] {
  return FIELDS.map((field) => records.map((record) => comparable(field, record)))
}

function comparable(field: (typeof FIELDS)[number], record: unknown): unknown {
  const value: unknown = Reflect.get(Object(record), field)
  return field === 'Dimensions' && typeof value === 'object' && value !== null ? stringifyJson(value) : value
}

/**
 * Where the first object is that stands for another record, too, or is another of the given ones. Of records that say the same one may
 * stand for the other.
 */
function firstMisplaced(
  given: readonly unknown[],
  list: readonly unknown[],
  contents: readonly string[],
): number | undefined {
  const places = new Map(given.map((record, at) => [record, at]))
  for (const [at, record] of list.entries()) {
    if (typeof record !== 'object' || record === null) continue
    const place = places.get(record) ?? at
    if (contents[place] !== contents[at]) return at
    places.set(record, place)
  }
  return undefined
}

function stayApart(before: readonly (readonly unknown[])[], after: readonly (readonly unknown[])[]): boolean {
  const stayed = before.filter((column, field) => column.every((value, at) => value === after[field]?.[at]))
  const numbered = stayed.map((column) => {
    const numbers = new Map<unknown, number>()
    for (const value of column) if (!numbers.has(value)) numbers.set(value, numbers.size)
    return column.map((value) => numbers.get(value))
  })
  const records = before[0]?.length ?? 0
  const keys = Array.from({ length: records }, (_, at) => numbered.map((column) => column[at]).join())
  return new Set(keys).size === records
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
