import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as sdk from '@aws-sdk/client-timestream-write'
import type { ExceptionClass, JsonClientOptions, JsonService } from '../../src/json-client.ts'
import { JsonClient } from '../../src/json-client.ts'

/** A request as a server got it. */
export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export type Answering = (response: ServerResponse, received: Received) => void

/** An HTTP server on 127.0.0.1 that answers as the test says. */
export class LocalServer implements AsyncDisposable {
  readonly received: Received[] = []
  answering: Answering
  readonly #server = createServer((request, response) => void this.#serve(request, response))

  private constructor(answering: Answering) {
    this.answering = answering
  }

  static async start(answering: Answering = (response) => response.end('{}')): Promise<LocalServer> {
    const local = new LocalServer(answering)
    local.#server.listen(0, '127.0.0.1')
    await once(local.#server, 'listening')
    return local
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  connections(): Promise<number> {
    return new Promise((resolve) => this.#server.getConnections((_, count) => resolve(count)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { method = '', url: path = '', headers } = request
    const received = { method, path, headers, body: Buffer.concat(chunks).toString() }
    this.received.push(received)
    this.answering(response, received)
  }
}

export const KEYS = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'this-is-secret-and-as-long-as-a-real-key',
  sessionToken: 'token/of+session==',
}

export const TIMESTREAM: JsonService = {
  signingName: 'timestream',
  targetPrefix: 'Timestream_20181101',
  contentType: 'application/x-amz-json-1.0',
  exceptions: (name) => {
    const found: unknown = Reflect.get(sdk, name)
    return typeof found === 'function' && name.endsWith('Exception') ? (found as ExceptionClass) : undefined
  },
  baseException: sdk.TimestreamWriteServiceException,
}

export function sdkClient(config: sdk.TimestreamWriteClientConfig = {}): sdk.TimestreamWriteClient {
  return new sdk.TimestreamWriteClient({ region: 'eu-west-1', credentials: KEYS, maxAttempts: 1, ...config })
}

/** A client for the server; 30 s are no limit for what is expected to end by itself. */
export function jsonClient(server: LocalServer, options: Partial<JsonClientOptions> = {}): JsonClient {
  const client = sdkClient({ endpoint: server.endpoint })
  return new JsonClient({ client, service: TIMESTREAM, maxConnections: 4, timeoutMs: 30_000, ...options })
}

/** What a promise is rejected with. */
export async function thrownBy(promise: Promise<unknown>): Promise<Error & Readonly<Record<string, unknown>>> {
  try {
    await promise
  } catch (error) {
    return error as Error & Readonly<Record<string, unknown>>
  }
  throw new Error('nothing was thrown')
}

/** Waits for a condition, at most 30 s. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('it did not happen within 30 s')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
