import {
  CreateDatabaseCommand,
  CreateTableCommand,
  RejectedRecordsException,
  TimestreamWriteClient,
  WriteRecordsCommand,
  type RejectedRecord,
  type _Record,
  type CreateTableRequest,
  type RecordsIngested,
} from '@aws-sdk/client-timestream-write'
import {
  QueryCommand,
  TimestreamQueryClient,
  type QueryRequest,
  type QueryResponse,
} from '@aws-sdk/client-timestream-query'
import { request as httpRequest } from 'node:http'
import {
  readJournal,
  startTimestreamLocal,
  type JournalEntry,
  type TimestreamLocal,
  type TimestreamLocalOptions,
} from '../src/index.ts'

export const DB = 'metrics'
export const TABLE = 'hosts'

export interface Answer {
  readonly ingested?: RecordsIngested | undefined
  readonly rejected?: readonly RejectedRecord[]
}

/** A server with the official clients beside it. */
export class Bench implements AsyncDisposable {
  readonly server: TimestreamLocal
  readonly writer: TimestreamWriteClient
  readonly reader: TimestreamQueryClient

  constructor(server: TimestreamLocal) {
    this.server = server
    const config = clientConfig(server.endpoint)
    this.writer = new TimestreamWriteClient(config)
    this.reader = new TimestreamQueryClient(config)
  }

  async createTable(more: Partial<CreateTableRequest> = {}): Promise<void> {
    await this.writer.send(new CreateDatabaseCommand({ DatabaseName: DB }))
    await this.writer.send(new CreateTableCommand({ DatabaseName: DB, TableName: TABLE, ...more }))
  }

  /** Writes records; a rejection is an answer, every other error is thrown. */
  async write(records: _Record[], common?: _Record): Promise<Answer> {
    const request = { DatabaseName: DB, TableName: TABLE, Records: records }
    try {
      const answer = await this.writer.send(
        new WriteRecordsCommand(common === undefined ? request : { ...request, CommonAttributes: common }),
      )
      return { ingested: answer.RecordsIngested }
    } catch (error) {
      if (error instanceof RejectedRecordsException) return { rejected: error.RejectedRecords ?? [] }
      throw error
    }
  }

  async query(queryString: string, more: Partial<QueryRequest> = {}): Promise<QueryResponse> {
    return await this.reader.send(new QueryCommand({ QueryString: queryString, ...more }))
  }

  /** Rows as arrays of texts, null for NULL. */
  async rows(queryString: string): Promise<(string | null)[][]> {
    return textRows(await this.query(queryString))
  }

  async journal(): Promise<JournalEntry[]> {
    const entries: JournalEntry[] = []
    for await (const entry of readJournal(this.server.journalPath)) entries.push(entry)
    return entries
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.writer.destroy()
    this.reader.destroy()
    await this.server.close()
  }
}

export async function bench(options: TimestreamLocalOptions = {}): Promise<Bench> {
  return new Bench(await startTimestreamLocal(options))
}

export function clientConfig(endpoint: string): {
  endpoint: string
  region: string
  credentials: { accessKeyId: string; secretAccessKey: string }
  maxAttempts: number
} {
  return {
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    maxAttempts: 1,
  }
}

export function textRows(response: QueryResponse): (string | null)[][] {
  return (response.Rows ?? []).map((row) => (row.Data ?? []).map((datum) => datum.ScalarValue ?? null))
}

/** A valid single-measure record of the present. */
export function record(more: _Record = {}): _Record {
  return {
    Dimensions: [{ Name: 'host', Value: 'a' }],
    MeasureName: 'cpu',
    MeasureValue: '1.5',
    Time: String(Date.now()),
    ...more,
  }
}

/** A valid multi-measure record of the present. */
export function multi(values: NonNullable<_Record['MeasureValues']>, more: _Record = {}): _Record {
  return {
    Dimensions: [{ Name: 'host', Value: 'a' }],
    MeasureName: 'metrics',
    MeasureValueType: 'MULTI',
    MeasureValues: values,
    Time: String(Date.now()),
    ...more,
  }
}

/** Sends a body as it is. */
export async function post(
  endpoint: string,
  operation: string,
  body: string,
): Promise<{ status: number; headers: Headers; body: Record<string, unknown>; text: string }> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'x-amz-target': `Timestream_20181101.${operation}`, 'content-type': 'application/x-amz-json-1.0' },
    body,
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: JSON.parse(text) as Record<string, unknown>,
    text,
  }
}

/** Sends a request with headers that `fetch` does not let through, such as Host and Origin. */
export async function rawRequest(
  endpoint: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: string = '',
): Promise<{ status: number | undefined; text: string }> {
  return await new Promise((resolve, reject) => {
    const sent = httpRequest(`${endpoint}${path}`, { method, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.on('end', () => resolve({ status: response.statusCode, text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
