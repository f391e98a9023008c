import type { LedgerEntry } from '@sluice/core/testing'
import { ledgerEntryOf } from './journal.ts'

const PAGE_ROWS = 1000

/** The parts of an answer of Query that are read here. */
interface QueryAnswer {
  readonly Rows: readonly { readonly Data: readonly { readonly ScalarValue?: string }[] }[]
  readonly NextToken?: string
}

/** Everything that SQL gives for the table, but for what was there before the campaign. */
export async function storedRows(
  endpoint: string,
  { database, table, except }: { readonly database: string; readonly table: string; readonly except: string },
): Promise<readonly LedgerEntry[]> {
  const sql = `SELECT source, key, sequence, hash, payload, time FROM "${database}"."${table}" WHERE hash <> '${except}'`
  const rows: LedgerEntry[] = []
  let token: string | undefined
  do {
    const page = await query(endpoint, sql, token)
    for (const { Data: data } of page.Rows) {
      const [source, key, sequence, hash, payload, time] = data.map(({ ScalarValue: value }) => value ?? '')
      const timeMs = Date.parse(`${time?.replace(' ', 'T').slice(0, -6)}Z`)
      rows.push(
        ledgerEntryOf({
          source: source ?? '',
          key: key ?? '',
          sequence: sequence ?? '',
          hash: hash ?? '',
          payload: payload ?? '',
          timeMs,
        }),
      )
    }
    token = page.NextToken
  } while (token !== undefined)
  return rows
}

async function query(endpoint: string, sql: string, token: string | undefined): Promise<QueryAnswer> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'x-amz-target': 'Timestream_20181101.Query', 'content-type': 'application/x-amz-json-1.0' },
    body: JSON.stringify({ QueryString: sql, MaxRows: PAGE_ROWS, ...(token !== undefined && { NextToken: token }) }),
  })
  if (!response.ok) throw new Error(`the store answered a query with ${response.status}: ${await response.text()}`)
  return (await response.json()) as QueryAnswer
}
