import type { DuckDBConnection } from '@duckdb/node-api'
import { isObject, type JsonObject } from './wire.ts'

/**
 * Which columns of a query have no name of their own: the service calls them `_col0`, `_col1`, ... by their position.
 * Empty when DuckDB cannot tell, or when a `*` makes positions unknown.
 */
export async function unnamedColumns(connection: DuckDBConnection, sql: string): Promise<ReadonlySet<number>> {
  const reader = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [sql])
  const tree: unknown = JSON.parse(String(reader.value(0, 0)))
  const statements = isObject(tree) ? tree['statements'] : undefined
  const first: unknown = Array.isArray(statements) ? statements[0] : undefined
  let node = isObject(first) ? first['node'] : undefined
  // The columns of a UNION are those of its first query.
  while (isObject(node) && isObject(node['left'])) node = node['left']
  const list = isObject(node) ? node['select_list'] : undefined
  const unnamed = new Set<number>()
  if (!Array.isArray(list)) return unnamed
  for (const [index, item] of (list as readonly JsonObject[]).entries()) {
    if (item['class'] === 'STAR') break
    if (item['alias'] === '' && item['class'] !== 'COLUMN_REF') unnamed.add(index)
  }
  return unnamed
}
