import type { S3Client } from '@aws-sdk/client-s3'
import { backoffMs, type Clock, deadline, delay, messageOf, type Random, SluiceError } from '@sluice/core'

import {
  foreignAnswer,
  isConditionFailure,
  isNoSuchKey,
  isRepeatable,
  type S3Target,
  storageError,
} from './failures.ts'
import type { S3Sdk } from './sdk.ts'

/** A client of the AWS SDK, or whatever sends its commands. */
export type S3Sender = Pick<S3Client, 'send'>

/** Tries of one request, the first included. */
const MAX_ATTEMPTS = 5
const BACKOFF = { initialDelayMs: 200, maxDelayMs: 5_000 }

export interface S3ObjectsPlan {
  readonly sdk: S3Sdk
  readonly sender: S3Sender
  readonly bucket: string
  readonly requestTimeoutMs: number
  readonly clock: Clock
  readonly random: Random
}

export interface StoredObject {
  readonly bytes: Buffer
  readonly etag: string
}

/** What must be true for a put: the object still is that one, or there is none. */
export type PutCondition = { readonly ifMatch: string } | 'ifNoneMatch'

/**
 * The objects of a bucket. Every request has a deadline that covers its body, and is repeated with backoff where that can help.
 *
 * All methods throw SluiceError `SLUICE_STATE_STORAGE` or `SLUICE_ACCESS_DENIED`, which name bucket, key and action.
 */
export class S3Objects {
  readonly #plan: S3ObjectsPlan
  readonly #closed = new AbortController()
  /** Its reason says why no request is made any more. */
  readonly #end: AbortSignal

  constructor(plan: S3ObjectsPlan, until?: AbortSignal) {
    this.#plan = plan
    this.#end = until === undefined ? this.#closed.signal : AbortSignal.any([this.#closed.signal, until])
  }

  /** The same objects for one task: its requests end with the signal, whose reason the errors name, and with the storage. */
  until(signal: AbortSignal): S3Objects {
    return new S3Objects(this.#plan, AbortSignal.any([this.#end, signal]))
  }

  get bucket(): string {
    return this.#plan.bucket
  }

  /** Undefined when there is no such object; 'tooLarge' when it has more than `maxBytes`. */
  get(key: string, maxBytes: number): Promise<StoredObject | 'tooLarge' | undefined> {
    const { sdk, sender, bucket } = this.#plan
    return this.#request({ action: 's3:GetObject', bucket, key }, async (abortSignal) => {
      try {
        const output = await sender.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: key }), { abortSignal })
        const { Body, ETag, ContentType = '' } = output
        if (ETag === undefined || ContentType.startsWith('text/html')) {
          destroy(Body)
          throw foreignAnswer(output, ETag === undefined ? 'ETag' : undefined)
        }
        const bytes = await readBody(Body, maxBytes, abortSignal)
        return bytes === undefined ? 'tooLarge' : { bytes, etag: ETag }
      } catch (error) {
        if (isNoSuchKey(error)) return undefined
        throw error
      }
    })
  }

  /**
   * The ETag; undefined when the condition was not met. After an unknown outcome the put is repeated as it was, and then the
   * condition may be unmet because the first try was applied: compare what is there.
   */
  put(key: string, bytes: Buffer, condition?: PutCondition): Promise<string | undefined> {
    const { sdk, sender, bucket } = this.#plan
    const command = new sdk.PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: bytes,
      ContentType: 'application/json',
      ...(condition === undefined ? {} : conditionHeader(condition)),
    })
    return this.#request({ action: 's3:PutObject', bucket, key }, async (abortSignal) => {
      try {
        const output = await sender.send(command, { abortSignal })
        if (output.ETag === undefined) throw foreignAnswer(output, 'ETag')
        return output.ETag
      } catch (error) {
        if (condition !== undefined && isConditionFailure(error)) return undefined
        throw error
      }
    })
  }

  /** Every key that begins with the prefix. */
  async list(prefix: string): Promise<string[]> {
    const { sdk, sender, bucket } = this.#plan
    const keys: string[] = []
    let token: string | undefined
    do {
      const command = new sdk.ListObjectsV2Command({
        Bucket: bucket,
        Prefix: prefix,
        ...(token === undefined ? {} : { ContinuationToken: token }),
      })
      const page = await this.#request({ action: 's3:ListBucket', bucket, key: prefix }, async (abortSignal) => {
        const output = await sender.send(command, { abortSignal })
        // An empty list, or the end of one, has to be said: checkpoints that are not listed are never loaded again.
        const { IsTruncated, NextContinuationToken } = output
        if (IsTruncated === undefined) throw foreignAnswer(output, 'IsTruncated')
        if (IsTruncated && NextContinuationToken === undefined) throw foreignAnswer(output, 'NextContinuationToken')
        return output
      })
      for (const { Key } of page.Contents ?? []) if (Key !== undefined) keys.push(Key)
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (token !== undefined)
    return keys
  }

  /** No error where there is no such object. */
  async delete(key: string, maxAttempts: number = MAX_ATTEMPTS): Promise<void> {
    const { sdk, sender, bucket } = this.#plan
    const command = new sdk.DeleteObjectCommand({ Bucket: bucket, Key: key })
    const target = { action: 's3:DeleteObject', bucket, key } as const
    const send = async (abortSignal: AbortSignal): Promise<void> => {
      try {
        await sender.send(command, { abortSignal })
      } catch (error) {
        // Amazon S3 says that it is deleted; other servers say what they find.
        if (!isNoSuchKey(error)) throw error
      }
    }
    await this.#request(target, send, maxAttempts)
  }

  /** Ends requests under way and refuses new ones. */
  close(): void {
    this.#closed.abort(new Error('the storage was closed'))
  }

  async #request<T>(
    target: S3Target,
    send: (abortSignal: AbortSignal) => Promise<T>,
    maxAttempts = MAX_ATTEMPTS,
  ): Promise<T> {
    const { clock, random } = this.#plan
    for (let attempt = 1; ; attempt++) {
      this.#throwIfEnded(target)
      try {
        return await this.#send(send)
      } catch (error) {
        this.#throwIfEnded(target)
        if (attempt >= maxAttempts || !isRepeatable(error)) throw storageError(error, target)
        await delay(clock, backoffMs(attempt, random, BACKOFF), this.#end)
      }
    }
  }

  async #send<T>(send: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, requestTimeoutMs } = this.#plan
    const abort = new AbortController()
    const { promise: ended, reject } = Promise.withResolvers<never>()
    const end = (reason: DOMException): void => {
      reject(reason)
      abort.abort(reason)
    }
    const onEnd = (): void => end(new DOMException(messageOf(this.#end.reason), 'AbortError'))
    this.#end.addEventListener('abort', onEnd, { once: true })
    const timer = deadline(clock, requestTimeoutMs, () =>
      end(new DOMException(`no answer within requestTimeoutMs = ${requestTimeoutMs}`, 'TimeoutError')),
    )
    try {
      return await Promise.race([send(abort.signal), ended])
    } finally {
      timer.cancel()
      this.#end.removeEventListener('abort', onEnd)
    }
  }

  #throwIfEnded({ action, bucket, key }: S3Target): void {
    if (!this.#end.aborted) return
    throw new SluiceError('SLUICE_CLOSED', `${action} of s3://${bucket}/${key}: ${messageOf(this.#end.reason)}`)
  }
}

function conditionHeader(condition: PutCondition): { IfMatch: string } | { IfNoneMatch: '*' } {
  return condition === 'ifNoneMatch' ? { IfNoneMatch: '*' } : { IfMatch: condition.ifMatch }
}

/** Undefined when there are more than `maxBytes`; the rest is not read then. */
async function readBody(body: unknown, maxBytes: number, signal: AbortSignal): Promise<Buffer | undefined> {
  if (body === undefined) return Buffer.alloc(0)
  const stream = body as AsyncIterable<Uint8Array>
  const onAbort = (): void => destroy(body, signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of stream) {
      size += chunk.length
      // Leaving the loop destroys the stream.
      if (size > maxBytes) return undefined
      chunks.push(chunk)
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
  return Buffer.concat(chunks, size)
}

/** Of a body in another form than a stream, nothing is left to be read. */
function destroy(body: unknown, reason?: unknown): void {
  const stream = Object(body) as { destroy?(reason?: unknown): void }
  stream.destroy?.(reason)
}
