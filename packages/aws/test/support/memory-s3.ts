import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'

import type { S3Sender } from '../../src/s3/objects.ts'

export interface S3Request {
  readonly action: 'Get' | 'Put' | 'List' | 'Delete'
  readonly key: string
  readonly input: Readonly<Record<string, unknown>>
  readonly signal: AbortSignal
  /** What the service does, at the moment of the call; throws as the SDK does. */
  apply(): unknown
}

/** An error as the client of the SDK throws it for an answer. */
export function s3Error(name: string, status: number, message: string = name): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status, requestId: 'R1' } })
}

/** As the SDK throws it when the connection breaks. */
export function reset(): Error {
  return Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
}

/**
 * A bucket in memory behind the commands of the SDK: strongly consistent and with conditional puts, as Amazon S3 is. `handle` may
 * answer in its place.
 */
export class MemoryS3 {
  readonly objects = new Map<string, { bytes: Buffer; etag: string }>()
  readonly requests: S3Request[] = []
  readonly bucket: string
  pageSize = 1000
  handle: (request: S3Request) => Promise<unknown> = (request) => Promise.resolve(request.apply())
  #version = 0

  constructor(bucket = 'state') {
    this.bucket = bucket
  }

  get sender(): S3Sender {
    const send = async (
      command: { constructor: { name: string }; input: Record<string, unknown> },
      options: { abortSignal: AbortSignal },
    ): Promise<unknown> => {
      const { input } = command
      const action = ACTIONS[command.constructor.name]
      if (action === undefined) throw new Error(`no command ${command.constructor.name} here`)
      const key = textOf(input['Key'] ?? input['Prefix'])
      const request = { action, key, input, signal: options.abortSignal, apply: () => this.#apply(action, key, input) }
      this.requests.push(request)
      return this.handle(request)
    }
    return { send } as unknown as S3Sender
  }

  get names(): string[] {
    return [...this.objects.keys()].toSorted()
  }

  put(key: string, bytes: Buffer): string {
    // Not a hash alone: with encryption by KMS, equal bytes have different ETags.
    const etag = `"${createHash('md5')
      .update(bytes)
      .update(String(this.#version++))
      .digest('hex')}"`
    this.objects.set(key, { bytes, etag })
    return etag
  }

  #apply(action: S3Request['action'], key: string, input: Readonly<Record<string, unknown>>): unknown {
    if (input['Bucket'] !== this.bucket) throw s3Error('NoSuchBucket', 404, 'The specified bucket does not exist')
    const there = this.objects.get(key)
    if (action === 'Get') {
      if (there === undefined) throw s3Error('NoSuchKey', 404, 'The specified key does not exist.')
      return { Body: Readable.from([there.bytes]), ETag: there.etag }
    }
    if (action === 'Put') {
      const { IfMatch, IfNoneMatch } = input
      if (IfMatch !== undefined && there === undefined) throw s3Error('NoSuchKey', 404)
      if (IfMatch !== undefined && there?.etag !== IfMatch) throw s3Error('PreconditionFailed', 412)
      if (IfNoneMatch === '*' && there !== undefined) throw s3Error('PreconditionFailed', 412)
      return { ETag: this.put(key, input['Body'] as Buffer) }
    }
    if (action === 'Delete') {
      this.objects.delete(key)
      return {}
    }
    const after = textOf(input['ContinuationToken'])
    const keys = this.names.filter((name) => name.startsWith(key) && name > after)
    const page = keys.slice(0, this.pageSize)
    const isTruncated = keys.length > page.length
    return {
      Contents: page.map((name) => ({ Key: name })),
      IsTruncated: isTruncated,
      ...(isTruncated ? { NextContinuationToken: page.at(-1) } : {}),
    }
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

const ACTIONS: Readonly<Record<string, S3Request['action']>> = {
  DeleteObjectCommand: 'Delete',
  GetObjectCommand: 'Get',
  ListObjectsV2Command: 'List',
  PutObjectCommand: 'Put',
}
