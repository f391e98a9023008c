import { TimestreamWriteClient, type WriteRecordsRequest } from '@aws-sdk/client-timestream-write'
import type { Caller } from '../src/transport/direct.ts'

export type Answer =
  | { readonly status: number; readonly type?: string; readonly body?: Readonly<Record<string, unknown>> }
  | { readonly error: Error }

export interface FakeRequest {
  readonly operation: string
  readonly host: string
  readonly body: WriteRecordsRequest
  /** The records as the service takes them: with what is common. */
  readonly records: readonly TimestreamRecordSent[]
}

type TimestreamRecordSent = NonNullable<WriteRecordsRequest['Records']>[number]

/** As the service merges them. A dimension that is in both is an error. */
function merged({ CommonAttributes: common = {}, Records = [] }: WriteRecordsRequest): readonly TimestreamRecordSent[] {
  return Records.map((record) => {
    const Dimensions = [...(record.Dimensions ?? []), ...(common.Dimensions ?? [])]
    const names = new Set(Dimensions.map(({ Name }) => Name))
    if (names.size !== Dimensions.length) throw new Error('a dimension is given twice')
    return { ...common, ...record, Dimensions }
  })
}

/** Counts the records of its request; a server of one's own sends it as it is. */
export const STORED: Answer = { status: 200, body: { RecordsIngested: { Total: 1 } } }

function counted(given: Answer, { records }: FakeRequest): Answer {
  return given === STORED ? { status: 200, body: { RecordsIngested: { Total: records.length } } } : given
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(Object.assign(new Error('aborted'), { name: 'AbortError' })))
  })
}

/** An answer of the service that is an exception. */
export function exception(
  type: string,
  status: number,
  message: string,
  more: Readonly<Record<string, unknown>> = {},
): Answer {
  return { status, type, body: { Message: message, message, ...more } }
}

/**
 * A real client of the SDK whose HTTP handler answers from a function: everything but the network is the SDK's own. Without
 * an endpoint the client discovers one.
 */
export class FakeService {
  readonly requests: FakeRequest[] = []
  readonly client: TimestreamWriteClient
  readonly #answer: (request: FakeRequest, index: number) => Answer | Promise<Answer>
  destroyed = 0

  constructor(
    answer: (request: FakeRequest, index: number) => Answer | Promise<Answer>,
    config: { readonly endpoint?: string; readonly maxAttempts?: number } = { endpoint: 'http://127.0.0.1:1' },
  ) {
    this.#answer = answer
    const encoder = new TextEncoder()
    this.client = new TimestreamWriteClient({
      region: 'eu-west-1',
      credentials: { accessKeyId: 'AKIAFAKE', secretAccessKey: 'fake' },
      maxAttempts: config.maxAttempts ?? 1,
      ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
      requestHandler: {
        handle: async (request: { headers: Record<string, string>; hostname: string; body: string | Uint8Array }) => {
          const text = typeof request.body === 'string' ? request.body : new TextDecoder().decode(request.body)
          const body = JSON.parse(text) as WriteRecordsRequest
          const seen: FakeRequest = {
            operation: (request.headers['x-amz-target'] ?? '').split('.')[1] ?? '',
            host: request.hostname,
            body,
            records: merged(body),
          }
          this.requests.push(seen)
          const given = counted(await answer(seen, this.requests.length - 1), seen)
          if ('error' in given) throw given.error
          const { status, type, body: told = {} } = given
          const shown = type === undefined ? told : { __type: `com.amazonaws.timestream.v20181101#${type}`, ...told }
          return {
            response: {
              statusCode: status,
              headers: {
                'content-type': 'application/x-amz-json-1.0',
                'x-amzn-requestid': `request-${this.requests.length}`,
              },
              body: encoder.encode(JSON.stringify(shown)),
            },
          }
        },
        destroy: () => {
          this.destroyed++
        },
      } as never,
    })
  }

  /** What stands for the JSON client of the direct transport: the same answers, without the network. */
  readonly caller: Caller = {
    endpoint: () => Promise.resolve({ url: new URL('https://ingest.timestream.eu-west-1.amazonaws.com/') }),
    call: async (operation, json, { endpoint, signal } = {}) => {
      await this.client.config.credentials()
      const text = typeof json === 'string' ? json : Buffer.from(json).toString()
      const body = JSON.parse(text) as WriteRecordsRequest
      const host = endpoint?.hostname ?? 'ingest.timestream.eu-west-1.amazonaws.com'
      const seen: FakeRequest = { operation, host, body, records: merged(body) }
      this.requests.push(seen)
      const requestId = `request-${this.requests.length}`
      const given = counted(await Promise.race([this.#answer(seen, this.requests.length - 1), aborted(signal)]), seen)
      if ('error' in given) throw given.error
      const metadata = { httpStatusCode: given.status, requestId, attempts: 1 as const }
      if (given.status < 300) return { body: given.body ?? {}, metadata }
      const { message = 'no message' } = (given.body ?? {}) as { readonly message?: string }
      throw Object.assign(new Error(message), { name: given.type ?? 'Unknown', ...given.body, $metadata: metadata })
    },
    close: () => Promise.resolve(),
  }

  /** Number of records of each request. */
  get sizes(): readonly number[] {
    return this.requests.map(({ body }) => body.Records?.length ?? 0)
  }
}
