import type { TimestreamWriteClientConfig } from '@aws-sdk/client-timestream-write'
import { Pool } from 'undici'

type Handler = Extract<TimestreamWriteClientConfig['requestHandler'], { handle: unknown }>
type Handled = Awaited<ReturnType<Handler['handle']>>

/** Sends requests of the SDK through undici: the least that a handler has to do. */
export class UndiciHandler {
  readonly metadata = { handlerProtocol: 'http/1.1' }
  readonly #pool: Pool

  constructor(url: string, connections: number) {
    this.#pool = new Pool(url, { connections })
  }

  async handle({ path, headers, body }: Parameters<Handler['handle']>[0]): Promise<Handled> {
    const answer = await this.#pool.request({ path, method: 'POST', headers, body })
    const bytes = new Uint8Array(await answer.body.arrayBuffer())
    const response = { statusCode: answer.statusCode, headers: answer.headers as Record<string, string>, body: bytes }
    return { response }
  }

  destroy(): void {
    void this.#pool.close()
  }

  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): object {
    return {}
  }
}
