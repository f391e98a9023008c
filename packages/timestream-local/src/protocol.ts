import type { IncomingMessage, ServerResponse } from 'node:http'
import { ServiceError } from './errors.ts'

const CONTENT_TYPE = 'application/x-amz-json-1.0'
const TARGET = /^Timestream_20181101\.([A-Za-z]+)$/
const NAMESPACE = 'com.amazonaws.timestream.v20181101'

/** Every operation that is served. */
export const OPERATIONS: readonly string[] = [
  'DescribeEndpoints',
  'CreateDatabase',
  'DescribeDatabase',
  'ListDatabases',
  'UpdateDatabase',
  'DeleteDatabase',
  'CreateTable',
  'DescribeTable',
  'ListTables',
  'UpdateTable',
  'DeleteTable',
  'WriteRecords',
  'Query',
  'CancelQuery',
]

/** The operation that a request names in `x-amz-target`. */
export function operationOf(request: IncomingMessage): string {
  const target = request.headers['x-amz-target']
  const operation = typeof target === 'string' ? TARGET.exec(target)?.[1] : undefined
  if (request.method !== 'POST' || operation === undefined) throw unknownOperation(String(target ?? 'none'))
  return operation
}

/** Operations of Timestream that this server leaves out. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  'CreateBatchLoadTask',
  'DescribeBatchLoadTask',
  'ListBatchLoadTasks',
  'ResumeBatchLoadTask',
  'ListTagsForResource',
  'TagResource',
  'UntagResource',
  'PrepareQuery',
  'CreateScheduledQuery',
  'DeleteScheduledQuery',
  'DescribeScheduledQuery',
  'ExecuteScheduledQuery',
  'ListScheduledQueries',
  'UpdateScheduledQuery',
  'DescribeAccountSettings',
  'UpdateAccountSettings',
])

export function unknownOperation(operation: string, where: string = ''): ServiceError {
  const name = operation.slice(0, 100)
  const message = LEFT_OUT.has(name)
    ? `timestream-local does not implement ${name}.`
    : `The operation is not known${where === '' ? '' : ` ${where}`}: ${name}.`
  return new ServiceError('UnknownOperationException', message)
}

/** Reads a body of limited size; a larger one is refused as soon as it is known to be. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = (): ServiceError =>
    new ServiceError('RequestEntityTooLargeException', `The request body has more than ${maxBytes} bytes.`)
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge()
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new ServiceError('SerializationException', `The content encoding ${encoding.slice(0, 40)} is not supported.`)
  }
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  let bytes = 0
  // Not an async iterator: ending one early would close the connection before the refusal is sent.
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > maxBytes) {
      chunks.length = 0
      reject(tooLarge())
    } else {
      chunks.push(chunk)
    }
  })
  request.on('end', () => resolve(Buffer.concat(chunks, bytes)))
  request.on('close', () => reject(new Error('The client went away before its request had arrived.')))
  return await promise
}

export function sendResult(response: ServerResponse, requestId: string, result: object): void {
  send(response, 200, requestId, JSON.stringify(result), {})
}

export function sendError(response: ServerResponse, requestId: string, error: ServiceError): void {
  const head = `"__type":${JSON.stringify(`${NAMESPACE}#${error.type}`)},"message":${JSON.stringify(error.message)}`
  const body = error.members === '' ? `{${head}}` : `{${head},${error.members}}`
  // Bytes of a refused body may still be on their way, so the connection cannot be used again.
  const close = error.statusCode === 413 ? { connection: 'close' } : {}
  send(response, error.statusCode, requestId, body, { 'x-amzn-errortype': error.type, ...close })
}

function send(
  response: ServerResponse,
  statusCode: number,
  requestId: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): void {
  if (response.destroyed) return
  response.writeHead(statusCode, {
    'content-type': CONTENT_TYPE,
    'content-length': Buffer.byteLength(body),
    'x-amzn-requestid': requestId,
    ...headers,
  })
  response.end(body)
}
