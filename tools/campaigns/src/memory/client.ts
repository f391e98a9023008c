import { Agent, request } from 'node:http'
import { SluiceError } from '@sluice/core'
import { MAX_BODY_BYTES, type Path, type Requests } from './protocol.ts'

const TIMEOUT_MS = 5_000

/** An answer other than 200. */
export class ServiceError extends Error {
  readonly status: number

  constructor(path: Path, status: number) {
    super(`${path} was answered with ${status}`)
    this.name = 'ServiceError'
    this.status = status
  }
}

/** Talks to the memory service. */
export class MemoryClient {
  readonly #endpoint: string
  readonly #agent = new Agent({ keepAlive: true })

  constructor(endpoint: string) {
    this.#endpoint = endpoint
  }

  /** @throws ServiceError for a status other than 200; any other error when there was no answer: then it may have been applied. */
  async post<P extends Path>(
    path: P,
    body: Requests[P]['request'],
    signal?: AbortSignal,
  ): Promise<Requests[P]['answer']> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS)
    const text = await this.#exchange(
      path,
      JSON.stringify(body),
      signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    )
    const answer: Requests[P]['answer'] = JSON.parse(text)
    return answer
  }

  /** {@link MemoryClient.post} for what may be repeated without harm. @throws SluiceError, restartable, after three failures. */
  async read<P extends Path>(
    path: P,
    body: Requests[P]['request'],
    signal: AbortSignal,
  ): Promise<Requests[P]['answer']> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.post(path, body, signal)
      } catch (error) {
        signal.throwIfAborted()
        if (tries < MAX_READ_TRIES) continue
        throw new SluiceError('SLUICE_SOURCE_FAILED', `${path} failed ${tries} times`, {
          cause: error,
          restartable: true,
        })
      }
    }
  }

  #exchange(path: Path, body: string, signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      const sent = request(
        `${this.#endpoint}${path}`,
        { method: 'POST', agent: this.#agent, headers, signal },
        (answer) => {
          const chunks: Buffer[] = []
          let bytes = 0
          answer.on('data', (chunk: Buffer) => {
            chunks.push(chunk)
            bytes += chunk.length
            if (bytes > MAX_BODY_BYTES)
              answer.destroy(new Error(`${path}: the answer is larger than ${MAX_BODY_BYTES} bytes`))
          })
          answer.on('error', reject)
          answer.on('end', () => {
            const { statusCode = 0 } = answer
            if (statusCode === 200) resolve(Buffer.concat(chunks).toString())
            else reject(new ServiceError(path, statusCode))
          })
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }
}

const MAX_READ_TRIES = 3
