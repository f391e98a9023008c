import { createHash } from 'node:crypto'
import { messageOf, SluiceError } from '../errors.ts'
import type { Checkpoint } from './storage.ts'

/** Version of the file format. A reader refuses a newer one: it must not guess. */
export const CHECKPOINT_FORMAT = 1

interface Header {
  readonly format: number
  readonly package: string
  readonly job: string
  readonly id: number
  readonly createdAtMs: number
  readonly bodyBytes: number
  readonly sha256: string
}

/** Two lines: a header with length and checksum, then the sources' states. */
export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  const body = Buffer.from(`${JSON.stringify({ sources: checkpoint.sources })}\n`)
  const header: Header = {
    format: CHECKPOINT_FORMAT,
    package: '@sluice/core',
    job: checkpoint.job,
    id: checkpoint.id,
    createdAtMs: checkpoint.createdAtMs,
    bodyBytes: body.length,
    sha256: createHash('sha256').update(body).digest('hex'),
  }
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body])
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
  const header = parse(bytes.subarray(0, lineEnd))
  if (!isHeader(header)) return { damage: 'the header is not one of a checkpoint' }
  if (header.format > CHECKPOINT_FORMAT) {
    throw new SluiceError(
      'SLUICE_STATE_NEWER',
      `the checkpoint has format ${header.format}, this version of @sluice/core reads up to ${CHECKPOINT_FORMAT}: upgrade it, or reset the state`,
      { facts: { format: header.format, readable: CHECKPOINT_FORMAT } },
    )
  }
  const body = bytes.subarray(lineEnd + 1)
  if (body.length !== header.bodyBytes)
    return { damage: `the body has ${body.length} bytes, the header says ${header.bodyBytes}` }
  if (createHash('sha256').update(body).digest('hex') !== header.sha256)
    return { damage: 'the checksum does not match' }
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
    typeof fields['createdAtMs'] === 'number' &&
    typeof fields['sha256'] === 'string'
  )
}
