import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { messageOf, SluiceError } from '../errors.ts'
import { failpoint } from '../runtime/failpoints.ts'
import type { CheckpointName } from './names.ts'
import type { Checkpoint } from './storage.ts'

/**
 * Version of the file format. A reader refuses a newer one, because it must not guess, and reads every older one. Format 1 had no
 * `version`, no `uids` and no `token`.
 */
const CHECKPOINT_FORMAT = 2
const FIRST_WITH_TOKEN = 2

/** The first line of a checkpoint. */
export interface Header {
  readonly format: number
  readonly package: string
  /** Of the package that wrote it. */
  readonly version?: string
  readonly job: string
  /** Of the sources. */
  readonly uids?: readonly string[]
  /** Of the owner that wrote it. */
  readonly token?: number
  readonly id: number
  readonly createdAtMs: number
  readonly bodyBytes: number
}

/** The checksum ends the header line; it is of the line before it and of the body. */
const CHECKSUM = /,"sha256":"([0-9a-f]{64})"\}$/

/**
 * Two lines: a header with length and checksum, then the sources' states. Every future format keeps the header line and its
 * checksum, so that a newer format and a damaged file can be told apart.
 *
 * @param token - of the owner that writes; 0 where owners have none.
 */
export function encodeCheckpoint(checkpoint: Checkpoint, token = 0): Buffer {
  const body = Buffer.from(`${JSON.stringify({ sources: checkpoint.sources })}\n`)
  const header: Header = {
    format: CHECKPOINT_FORMAT,
    package: '@sluice/core',
    version: packageVersion(),
    job: checkpoint.job,
    uids: Object.keys(checkpoint.sources),
    token,
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

export type Decoded =
  /** `token` is 0 where the format had none. */
  { readonly checkpoint: Checkpoint; readonly header: Header; readonly token: number } | { readonly damage: string }

/**
 * Reads a checkpoint, or says how it is damaged.
 *
 * @param place - where it is, for errors: a path or an address.
 * @throws SluiceError `SLUICE_STATE_NEWER` for a whole file of a newer format.
 */
export function decodeCheckpoint(bytes: Buffer, place: string): Decoded {
  const lineEnd = bytes.indexOf(0x0a)
  if (lineEnd === -1) return { damage: `no header line in ${bytes.length} bytes` }
  const line = bytes.subarray(0, lineEnd)
  const header = parse(line)
  const stated = CHECKSUM.exec(line.toString('latin1'))
  if (!isHeader(header) || stated === null) return { damage: 'the header is not one of a checkpoint' }
  const body = bytes.subarray(lineEnd + 1)
  if (body.length !== header.bodyBytes)
    return { damage: `the body has ${body.length} bytes, the header says ${header.bodyBytes}` }
  if (checksum(line.subarray(0, stated.index), body) !== stated[1] && !failpoint('sabotage:skip-checksum'))
    return { damage: 'the checksum does not match' }
  if (header.format > CHECKPOINT_FORMAT) {
    throw new SluiceError(
      'SLUICE_STATE_NEWER',
      `the checkpoint ${place} has format ${header.format}, this version of @sluice/core reads up to ${CHECKPOINT_FORMAT}: upgrade it, or move the job's checkpoints away to start from the initial position`,
      { facts: { place, format: header.format, readable: CHECKPOINT_FORMAT } },
    )
  }
  const content = parse(body)
  if (typeof content !== 'object' || content === null || !('sources' in content))
    return { damage: 'the body has no sources' }
  const { job, id, createdAtMs, token = 0 } = header
  if (header.format >= FIRST_WITH_TOKEN && !Number.isSafeInteger(header.token))
    return { damage: 'the header has no token' }
  const checkpoint = { job, id, createdAtMs, sources: content.sources as Checkpoint['sources'] }
  return { checkpoint, header, token }
}

/**
 * A checkpoint whose name and header agree: the order of the files is that of their names, which no checksum covers.
 *
 * @param place - where it is, for errors: a path or an address.
 * @throws SluiceError `SLUICE_STATE_NEWER` for a whole file of a newer format.
 */
export function decodeNamed(bytes: Buffer, { token, id }: CheckpointName, place: string): Decoded {
  const decoded = decodeCheckpoint(bytes, place)
  if ('damage' in decoded || (decoded.token === token && decoded.checkpoint.id === id)) return decoded
  return {
    damage: `its name is not that of checkpoint ${decoded.checkpoint.id} of owner ${decoded.token}, which it holds`,
  }
}

let version: string | undefined

/** Where the package was bundled into another, its manifest is not there to be read. */
function packageVersion(): string {
  try {
    version ??= String(JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version)
  } catch {
    version = 'unknown'
  }
  return version
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
