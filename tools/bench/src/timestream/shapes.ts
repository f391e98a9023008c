import { eventRecord, hostMetricRecord, smallRecord } from './convert.ts'
import { eventRow, hostMetricRow, type Row, smallRow } from './rows.ts'

/** Measures of a record: small ones, and the events and host metrics of the original's sample application. */
export const MEASURES = [3, 5, 20] as const
export type Measures = (typeof MEASURES)[number]

/** Records in a request. */
export const BATCH = 100

/** What records of so many measures are made from, and how. */
export interface Shape {
  /** The row of a series at a time. */
  readonly row: (series: number, seconds: number) => Row
  /** Numbers are given as numbers, as our API takes them. */
  readonly ours: (row: never) => ReturnType<typeof smallRecord<number>>
  /** Numbers are given as text, as the SDK takes them. */
  readonly sdk: (row: never) => ReturnType<typeof smallRecord<string>>
}

const asIs = (value: number): number => value

export const SHAPES: Readonly<Record<Measures, Shape>> = {
  3: { row: smallRow, ours: (row) => smallRecord(row, asIs), sdk: (row) => smallRecord(row, String) },
  5: { row: eventRow, ours: (row) => eventRecord(row, asIs), sdk: (row) => eventRecord(row, String) },
  20: { row: hostMetricRow, ours: (row) => hostMetricRecord(row, asIs), sdk: (row) => hostMetricRecord(row, String) },
}

/** Series of a steady sender. */
const SERIES = 1000
/** Of the order in which series come: a request has records of all regions, so that they have no dimension in common. */
const MIXED_STEP = 37
const START_SECONDS = 1_700_000_000

/** By region, as the sample's generator makes them, or mixed, as the partitions of a stream do. */
export type Order = 'mixed' | 'by region'

/** The JSON of rows, a batch each. @param first - number of the first: others have other times. */
export function encodeBatches(measures: Measures, first: number, batches: number, order: Order): readonly Buffer[] {
  const { row } = SHAPES[measures]
  const step = order === 'mixed' ? MIXED_STEP : 1
  return Array.from({ length: batches }, (_, batch) =>
    Buffer.from(
      JSON.stringify(
        Array.from({ length: BATCH }, (_unused, offset) => {
          const number = first + batch * BATCH + offset
          return row((number * step) % SERIES, START_SECONDS + Math.floor(number / SERIES))
        }),
      ),
    ),
  )
}
