import { TimestreamWriteClient, type WriteRecordsRequest } from '@aws-sdk/client-timestream-write'

export type Answer =
  | { readonly status: number; readonly type?: string; readonly body?: Readonly<Record<string, unknown>> }
  | { readonly error: Error }

export interface FakeRequest {
  readonly operation: string
  readonly host: string
  readonly body: WriteRecordsRequest
}

export const STORED: Answer = { status: 200, body: { RecordsIngested: { Total: 1 } } }

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
  destroyed = 0

  constructor(
    answer: (request: FakeRequest, index: number) => Answer | Promise<Answer>,
    config: { readonly endpoint?: string; readonly maxAttempts?: number } = { endpoint: 'http://127.0.0.1:1' },
  ) {
    const encoder = new TextEncoder()
    this.client = new TimestreamWriteClient({
      region: 'eu-west-1',
      credentials: { accessKeyId: 'AKIAFAKE', secretAccessKey: 'fake' },
      maxAttempts: config.maxAttempts ?? 1,
      ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
      requestHandler: {
        handle: async (request: { headers: Record<string, string>; hostname: string; body: string | Uint8Array }) => {
          const text = typeof request.body === 'string' ? request.body : new TextDecoder().decode(request.body)
          const seen: FakeRequest = {
            operation: (request.headers['x-amz-target'] ?? '').split('.')[1] ?? '',
            host: request.hostname,
            body: JSON.parse(text) as WriteRecordsRequest,
          }
          this.requests.push(seen)
          const given = await answer(seen, this.requests.length - 1)
          if ('error' in given) throw given.error
          const { status, type, body = {} } = given
          const shown = type === undefined ? body : { __type: `com.amazonaws.timestream.v20181101#${type}`, ...body }
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

  /** Number of records of each request. */
  get sizes(): readonly number[] {
    return this.requests.map(({ body }) => body.Records?.length ?? 0)
  }
}
