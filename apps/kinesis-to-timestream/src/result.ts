import { QueryCommand, type Row, type TimestreamQueryClient } from '@aws-sdk/client-timestream-query'
import { compareLedger, type LedgerEntry, type LedgerReport } from '@sluice/core/testing'
import { readJournal } from '@sluice/timestream-local'

/** The columns and rows of a query, all pages, as text; NULL as undefined. */
export interface Table {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | undefined)[])[]
}

export async function query(client: TimestreamQueryClient, sql: string): Promise<Table> {
  const rows: Row[] = []
  let columns: readonly string[] = []
  let token: string | undefined
  do {
    const page = await client.send(new QueryCommand({ QueryString: sql, NextToken: token }))
    columns = page.ColumnInfo?.map(({ Name }) => Name ?? '') ?? []
    rows.push(...(page.Rows ?? []))
    token = page.NextToken
  } while (token !== undefined)
  return { columns, rows: rows.map((row) => row.Data?.map(({ ScalarValue }) => ScalarValue) ?? []) }
}

/** What the table holds of this run, read with SQL: shares nothing with the sink. */
export async function storedEntries(
  client: TimestreamQueryClient,
  place: { readonly database: string; readonly table: string },
  run: string,
): Promise<LedgerEntry[]> {
  const { rows } = await query(
    client,
    `SELECT ledger_source, ledger_key, ledger_sequence, ledger_hash FROM "${place.database}"."${place.table}" WHERE ledger_source = '${run}'`,
  )
  return rows.map(([source = '', key = '', sequence = '', hash = '']) => ({
    source,
    key,
    sequence: Number(sequence),
    hash,
  }))
}

/** Sets are compared; `duplicates` comes from the journal, because a table shows no repeat. Null where there is no journal. */
export async function checkResult(
  produced: readonly LedgerEntry[],
  stored: readonly LedgerEntry[],
  journalPath: string | undefined,
): Promise<{ readonly report: LedgerReport; readonly duplicates: number | null }> {
  const report = compareLedger(produced, stored)
  if (journalPath === undefined) return { report, duplicates: null }
  const arrivals: LedgerEntry[] = []
  for await (const entry of readJournal(journalPath)) {
    if (entry.operation !== 'WriteRecords') continue
    for (const record of entry.records) {
      if (record.outcome === 'rejected') continue
      const value = (name: string): string =>
        String(record.measures.find((measure) => measure.name === name)?.value ?? '')
      arrivals.push({
        source: value('ledger_source'),
        key: value('ledger_key'),
        sequence: Number(value('ledger_sequence')),
        hash: value('ledger_hash'),
      })
    }
  }
  return { report, duplicates: compareLedger(produced, arrivals).duplicates }
}

/** A table that a person can read. */
export function formatTable({ columns, rows }: Table): string {
  const cells = [columns, ...rows.map((row) => row.map((cell) => cell ?? 'NULL'))]
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
  const [head = [], ...body] = cells
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...body.map(line)].join('\n')
}
