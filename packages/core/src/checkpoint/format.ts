import { createHash } from 'node:crypto'
import { messageOf, SluiceError } from '../errors.ts'
import type { Checkpoint } from './storage.ts'

/** Version of the file format. A reader refuses a newer one: it must not guess. */
const CHECKPOINT_FORMAT = 1

interface Header {
  readonly format: number
  readonly package: string
  readonly job: string
  readonly id: number
  readonly createdAtMs: number
  readonly bodyBytes: number
}

/** The checksum ends the header line; it is of the line before it and of the body. */
const CHECKSUM = /,"sha256":"([0-9a-f]{64})"\}$/

/**
 * Two lines: a header with length and checksum, then the sources' states. Every future format keeps the header line and its
 * checksum, so that a newer format and a damaged file can be told apart.
 */
export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  const body = Buffer.from(`${JSON.stringify({ sources: checkpoint.sources })}\n`)
  const header: Header = {
    format: CHECKPOINT_FORMAT,
    package: '@sluice/core',
    job: checkpoint.job,
    id: checkpoint.id,
    createdAtMs: checkpoint.createdAtMs,
    bodyBytes: body.length,
  }
  const signed = Buffer.from(JSON.stringify(header).slice(0, -1))
  return Buffer.concat([signed, Buffer.from(`,"sha256":"${checksum(signed, body)}"}\n`), body])
}

function checksum(signed: Buffer, body: Buffer): string {
  return createHash('sha256').update(signed).update(body).digest('hex')
}

export type Decoded = { readonly checkpoint: Checkpoint } | { readonly damage: string }

/**
 * Reads a checkpoint, or says how it is damaged.
 *
 * @throws SluiceError `SLUICE_STATE_NEWER` for a whole file of a newer format.
 */
export function decodeCheckpoint(bytes: Buffer): Decoded {
  const lineEnd = bytes.indexOf(0x0a)
  if (lineEnd === -1) return { damage: `no header line in ${bytes.length} bytes` }
  const line = bytes.subarray(0, lineEnd)
  const header = parse(line)
  const stated = CHECKSUM.exec(line.toString('latin1'))
  if (!isHeader(header) || stated === null) return { damage: 'the header is not one of a checkpoint' }
  const body = bytes.subarray(lineEnd + 1)
  if (body.length !== header.bodyBytes)
    return { damage: `the body has ${body.length} bytes, the header says ${header.bodyBytes}` }
  if (checksum(line.subarray(0, stated.index), body) !== stated[1]) return { damage: 'the checksum does not match' }
  if (header.format > CHECKPOINT_FORMAT) {
    throw new SluiceError(
      'SLUICE_STATE_NEWER',
      `the checkpoint has format ${header.format}, this version of @sluice/core reads up to ${CHECKPOINT_FORMAT}: upgrade it, or delete the job's checkpoint folder to start from the initial position`,
      { facts: { format: header.format, readable: CHECKPOINT_FORMAT } },
    )
  }
  const content = parse(body)
  if (typeof content !== 'object' || content === null || !('sources' in content))
    return { damage: 'the body has no sources' }
  const { job, id, createdAtMs } = header
  return { checkpoint: { job, id, createdAtMs, sources: content.sources as Checkpoint['sources'] } }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    return messageOf(error)
  }
}

function isHeader(value: unknown): value is Header {
  if (typeof value !== 'object' || value === null) return false
  const fields = value as Record<string, unknown>
  return (
    Number.isInteger(fields['format']) &&
    Number.isInteger(fields['id']) &&
    Number.isInteger(fields['bodyBytes']) &&
    typeof fields['job'] === 'string' &&
    typeof fields['createdAtMs'] === 'number'
  )
}
