import type { Catalogue } from './catalogue.ts'
import { validationError } from './errors.ts'
import type { ColumnInfo, Datum } from './rows.ts'
import type { Table } from './table.ts'
import { firstWord } from './translate.ts'

/** An answer that is made from the catalogue, without DuckDB. */
export interface CatalogueAnswer {
  readonly columns: readonly ColumnInfo[]
  readonly rows: readonly (readonly Datum[])[]
}

const NAME = '(?:"((?:[^"]|"")+)"|([A-Za-z0-9_]+))'
const LIKE = "(?:\\s+like\\s+'((?:[^']|'')*)')?"
const END = '\\s*;?\\s*$'
const SHOW_DATABASES = new RegExp(`^\\s*show\\s+databases${LIKE}${END}`, 'i')
const SHOW_TABLES = new RegExp(`^\\s*show\\s+tables(?:\\s+(?:from|in)\\s+${NAME})?${LIKE}${END}`, 'i')
const SHOW_MEASURES = new RegExp(`^\\s*show\\s+measures\\s+(?:from|in)\\s+${NAME}\\s*\\.\\s*${NAME}${LIKE}${END}`, 'i')
const DESCRIBE = new RegExp(`^\\s*describe\\s+${NAME}\\s*\\.\\s*${NAME}${END}`, 'i')

const VARCHAR: ColumnInfo['Type'] = { ScalarType: 'VARCHAR' }
const DIMENSION_COLUMNS: readonly ColumnInfo[] = [
  { Name: 'dimension_name', Type: VARCHAR },
  { Name: 'data_type', Type: VARCHAR },
]

/**
 * Answers SHOW DATABASES, SHOW TABLES, SHOW MEASURES and DESCRIBE; undefined for every other statement.
 *
 * Source: https://docs.aws.amazon.com/timestream/latest/developerguide/supported-sql-constructs.SHOW.html
 *
 * @throws {ServiceError} ValidationException for a SHOW or DESCRIBE of another form, ResourceNotFoundException when the
 * database or table does not exist.
 */
export function answerFromCatalogue(catalogue: Catalogue, sql: string): CatalogueAnswer | undefined {
  const word = firstWord(sql)
  if (word !== 'show' && word !== 'describe') return undefined
  const databases = SHOW_DATABASES.exec(sql)
  if (databases !== null) return names('Database', [...catalogue.databases.keys()], databases[1])
  const tables = SHOW_TABLES.exec(sql)
  if (tables !== null) {
    const database = nameOf(tables, 1)
    const all = database === '' ? [...catalogue.tables()] : [...catalogue.database(database).tables.values()]
    return names(
      'Table',
      all.map(({ name }) => name),
      tables[3],
    )
  }
  const measures = SHOW_MEASURES.exec(sql)
  if (measures !== null) return showMeasures(catalogue.table(nameOf(measures, 1), nameOf(measures, 3)), measures[5])
  const described = DESCRIBE.exec(sql)
  if (described !== null) return describeTable(catalogue.table(nameOf(described, 1), nameOf(described, 3)))
  throw validationError(
    'This statement is not one of SHOW DATABASES [LIKE pattern], SHOW TABLES [FROM database] [LIKE pattern], SHOW MEASURES FROM database.table [LIKE pattern], DESCRIBE database.table. Quote names that hold other characters than letters, digits and _.',
  )
}

function names(column: string, all: readonly string[], pattern: string | undefined): CatalogueAnswer {
  return texts(
    [column],
    all.filter(matcher(pattern)).map((name) => [name]),
  )
}

function showMeasures(table: Table, pattern: string | undefined): CatalogueAnswer {
  const isWanted = matcher(pattern)
  const columns: readonly ColumnInfo[] = [
    { Name: 'measure_name', Type: VARCHAR },
    { Name: 'data_type', Type: VARCHAR },
    { Name: 'dimensions', Type: { ArrayColumnInfo: { Type: { RowColumnInfo: DIMENSION_COLUMNS } } } },
  ]
  const rows = [...table.measures].flatMap(([name, kinds]) =>
    isWanted(name) ? [...kinds].map(([type, dimensions]) => measureRow(name, type, dimensions)) : [],
  )
  return { columns, rows }
}

function measureRow(name: string, type: string, dimensions: ReadonlySet<string>): readonly Datum[] {
  const list = [...dimensions].map((dimension) => ({
    RowValue: { Data: [{ ScalarValue: dimension }, { ScalarValue: 'varchar' }] },
  }))
  return [{ ScalarValue: name }, { ScalarValue: type }, { ArrayValue: list }]
}

function describeTable(table: Table): CatalogueAnswer {
  return texts(
    ['Column', 'Type', 'Timestream attribute type'],
    [
      ...[...table.dimensionColumns.keys()].map((name) => [name, 'varchar', 'DIMENSION']),
      ['measure_name', 'varchar', 'MEASURE_NAME'],
      ['time', 'timestamp', 'TIMESTAMP'],
      ...[...table.measureColumns.values()].map(({ name, type }) => [
        name,
        type.toLowerCase(),
        name.startsWith('measure_value::') ? 'MEASURE_VALUE' : 'MULTI',
      ]),
    ],
  )
}

function texts(columns: readonly string[], rows: readonly (readonly string[])[]): CatalogueAnswer {
  return {
    columns: columns.map((name) => ({ Name: name, Type: VARCHAR })),
    rows: rows.map((row) => row.map((cell) => ({ ScalarValue: cell }))),
  }
}

/** A test for SQL's LIKE: `%` for any text, `_` for one character. */
function matcher(pattern: string | undefined): (name: string) => boolean {
  if (pattern === undefined) return () => true
  const source = pattern
    .replaceAll("''", "'")
    .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('%', '.*')
    .replaceAll('_', '.')
  const expression = new RegExp(`^${source}$`, 'su')
  return (name) => expression.test(name)
}

function nameOf(match: RegExpExecArray, group: number): string {
  return match[group]?.replaceAll('""', '"') ?? match[group + 1] ?? ''
}
