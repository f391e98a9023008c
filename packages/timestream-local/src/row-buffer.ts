import type { Value } from './values.ts'
import type { TimeKey } from './versions.ts'

/** Rows that the journal has and the query store has not yet, column by column. */
export class RowBuffer {
  rows = 0
  /** Slots whose older row in the query store, if any, these rows replace. */
  readonly replaced: number[] = []
  readonly slots: number[] = []
  readonly series: number[] = []
  readonly times: TimeKey[] = []
  readonly columns: (Value | undefined)[][] = []

  add(slot: number, series: number, time: TimeKey, columns: readonly number[], values: readonly Value[]): void {
    const row = this.rows++
    this.slots[row] = slot
    this.series[row] = series
    this.times[row] = time
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i] ?? 0
      let cells = this.columns[column]
      while (cells === undefined) {
        this.columns.push([])
        cells = this.columns[column]
      }
      while (cells.length < row) cells.push(undefined)
      cells[row] = values[i]
    }
  }

  /** Rows to insert: all of them, or without those that a later row of this buffer replaces. */
  currentRows(): readonly number[] {
    if (this.replaced.length === 0) return Array.from({ length: this.rows }, (_, row) => row)
    const last = new Map<number, number>()
    this.slots.forEach((slot, row) => last.set(slot, row))
    return [...last.values()].sort((a, b) => a - b)
  }
}
