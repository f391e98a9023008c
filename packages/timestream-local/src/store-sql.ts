import { STORE_SCHEMA } from './names.ts'
import type { Table } from './table.ts'

/** Tables behind the view of a table. */
export function storeTables(table: Table): { readonly data: string; readonly series: string } {
  return { data: `${STORE_SCHEMA}.d${table.id}`, series: `${STORE_SCHEMA}.s${table.id}` }
}

export function viewName(table: Table): string {
  return `${quote(table.databaseName)}.${quote(table.name)}`
}

/** The view that queries see, over the first `dimensions` and `measures` columns. */
export function viewSql(table: Table, dimensions: number, measures: number): string {
  const { data, series } = storeTables(table)
  // DuckDB does not tell names apart by case: a second spelling gets a suffix.
  const taken = new Set(['measure_name', 'time'])
  const alias = (name: string): string => {
    let unique = name
    for (let n = 2; taken.has(unique.toLowerCase()); n++) unique = `${name}_${n}`
    taken.add(unique.toLowerCase())
    return quote(unique)
  }
  const columns = [
    ...[...table.dimensionColumns].slice(0, dimensions).map(([name, index]) => `s.d${index} AS ${alias(name)}`),
    's.measure_name AS measure_name',
    'd.time AS time',
    ...[...table.measureColumns.values()]
      .slice(0, measures)
      .map((column) => `d.m${column.index} AS ${alias(column.name)}`),
  ]
  return `CREATE OR REPLACE VIEW ${viewName(table)} AS SELECT ${columns.join(', ')} FROM ${data} d JOIN ${series} s ON s.id = d.series`
}

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
