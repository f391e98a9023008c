import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { SluiceError } from '@sluice/core'
import { type CheckpointName, checkpointNames } from '@sluice/core/internal'

import type { S3Objects } from './objects.ts'
import { corruptedRecord, decodeOwnerRecord, encodeOwnerRecord, isAdmitted, type OwnerRecord } from './owner-record.ts'

const OWNER_FILE = 'owner.json'
/** Every checkpoint's name begins with it. */
const CHECKPOINT_PREFIX = 'checkpoint-'
/** Is never stored. It begins as checkpoints do, so that rights may be given for those alone. */
const PROBE = `${CHECKPOINT_PREFIX}probe`
/** Starters that come between reading the token and writing the next one, before this one gives up. */
const ROUNDS = 5
const MAX_RECORD_BYTES = 1024 * 1024
/** As many as may be kept: what is left over beyond them must not make the record grow. */
const MAX_ADMITTED = 1000
/** No object has it: S3 makes ETags of what it stores. */
const NOBODYS_ETAG = '"00000000000000000000000000000000"'

/** What was there when the token was taken. */
export interface Grant {
  readonly token: number
  /** The checkpoints that may be loaded, oldest first. */
  readonly admitted: readonly CheckpointName[]
  /** Those that earlier owners stored after they had been fenced, and the oldest ones of a great many. They may go. */
  readonly stale: readonly CheckpointName[]
}

/**
 * The one owner of a job's checkpoints, known by a token that rises with every start. S3 does not tell whether an owner lives, so
 * a starter is never refused: it takes over, and the owner before it finds the newer token.
 *
 * 0. Every other right is tried first: a starter that could not go on must leave the owner that runs alone.
 * 1. The next token is written on the condition that the record is the one that was read.
 * 2. Only then are the checkpoints listed. An owner before this one verifies its token after each put, so what it has reported
 *    as stored is in the list.
 * 3. The names in the list are written to the record. What an older owner puts later, or what arrives late, is not among them
 *    and is never loaded.
 */
export class Ownership {
  readonly #objects: S3Objects
  readonly #folder: string
  readonly #owner: string
  readonly #by = `${hostname()}, process ${process.pid}`

  private constructor(objects: S3Objects, folder: string, owner: string) {
    this.#objects = objects
    this.#folder = folder
    this.#owner = owner
  }

  /**
   * @param folder - beginning of the job's keys.
   * @throws SluiceError `SLUICE_STATE_OWNED` when others start at this moment, `SLUICE_STATE_STORAGE` also for a server that
   * ignores conditions.
   */
  static async take(objects: S3Objects, folder: string): Promise<{ ownership: Ownership; grant: Grant }> {
    const ownership = new Ownership(objects, folder, randomUUID())
    const { record, etag } = await ownership.#next()
    const sealed = await ownership.#seal(record, etag)
    await ownership.#proveConditions(sealed.bytes)
    return { ownership, grant: sealed.grant }
  }

  /** The same owner for one task, see {@link S3Objects.until}: a renewal that is ended may still be applied, which no later one minds. */
  until(signal: AbortSignal): Ownership {
    return new Ownership(this.#objects.until(signal), this.#folder, this.#owner)
  }

  /**
   * A newer token for the same owner: what it has put with the one before and that still is on its way is not loaded any more.
   *
   * @throws SluiceError `SLUICE_STATE_FENCED`
   */
  async renew(): Promise<Grant> {
    for (let round = 0; round < ROUNDS; round++) {
      const { record, etag } = await this.#readOwn()
      const next = { ...record, token: record.token + 1 }
      const written = await this.#write(next, { ifMatch: etag })
      // What came between may be this owner's: a renewal that was given up, and was applied late.
      if (written === undefined) continue
      return (await this.#seal(next, written)).grant
    }
    throw this.#fenced()
  }

  /**
   * @param token - the one that the caller works with. It is not what was granted last: who looks may be an attempt of before.
   * @throws SluiceError `SLUICE_STATE_FENCED` when the checkpoints were taken over, by another process or by a newer attempt.
   */
  async verify(token: number): Promise<void> {
    const { record } = await this.#readOwn(token)
    if (record.token !== token) throw this.#fenced(record, token)
  }

  get #key(): string {
    return `${this.#folder}${OWNER_FILE}`
  }

  get #place(): string {
    return `s3://${this.#objects.bucket}/${this.#key}`
  }

  async #next(): Promise<{ record: OwnerRecord; etag: string }> {
    for (let round = 0; round < ROUNDS; round++) {
      const found = await this.#find()
      const names = await this.#names()
      if (round === 0) await this.#objects.delete(`${this.#folder}${PROBE}`)
      // Where the record is lost, tokens go on above those that checkpoints were stored with.
      const before = found?.record ?? { token: names.at(-1)?.token ?? 0, from: 0, admitted: [] }
      const { from, admitted } = before
      const record = { token: before.token + 1, owner: this.#owner, by: this.#by, from, admitted }
      const etag = await this.#write(record, found === undefined ? 'ifNoneMatch' : { ifMatch: found.etag })
      if (etag === undefined) continue
      return { record, etag }
    }
    throw new SluiceError(
      'SLUICE_STATE_OWNED',
      `other processes are starting on the checkpoints in s3://${this.#objects.bucket}/${this.#folder} at this moment`,
      { facts: { bucket: this.#objects.bucket, folder: this.#folder } },
    )
  }

  async #seal(record: OwnerRecord, etag: string): Promise<{ grant: Grant; bytes: Buffer }> {
    const names = await this.#names()
    const admitted = names.filter((name) => isAdmitted(name, record)).slice(-MAX_ADMITTED)
    const sealed = { ...record, from: record.token, admitted: admitted.map(({ name }) => name) }
    if ((await this.#write(sealed, { ifMatch: etag })) === undefined) throw this.#fenced(undefined, record.token)
    const kept = new Set(admitted)
    const stale = names.filter((name) => !kept.has(name))
    return { grant: { token: record.token, admitted, stale }, bytes: encodeOwnerRecord(sealed) }
  }

  /** Writes once more what is there, on conditions that cannot be met: a server that takes it would let two owners go on. */
  async #proveConditions(bytes: Buffer): Promise<void> {
    for (const condition of ['ifNoneMatch', { ifMatch: NOBODYS_ETAG }] as const) {
      if ((await this.#objects.put(this.#key, bytes, condition)) === undefined) continue
      const header = condition === 'ifNoneMatch' ? 'If-None-Match' : 'If-Match'
      throw new SluiceError(
        'SLUICE_STATE_STORAGE',
        `the server ignores ${header}: it took ${this.#place} although the condition was not met. Without conditional writes nothing keeps two processes apart; use Amazon S3, or a server that has them`,
        { facts: { bucket: this.#objects.bucket, key: this.#key, header } },
      )
    }
  }

  /** Undefined when the condition was not met by a put of this owner. */
  async #write(record: OwnerRecord, condition: Parameters<S3Objects['put']>[2]): Promise<string | undefined> {
    const bytes = encodeOwnerRecord(record)
    const etag = await this.#objects.put(this.#key, bytes, condition)
    if (etag !== undefined) return etag
    const there = await this.#objects.get(this.#key, MAX_RECORD_BYTES)
    return typeof there === 'object' && there.bytes.equals(bytes) ? there.etag : undefined
  }

  async #find(): Promise<{ record: OwnerRecord; etag: string } | undefined> {
    const found = await this.#objects.get(this.#key, MAX_RECORD_BYTES)
    if (found === undefined) return undefined
    if (found === 'tooLarge') throw corruptedRecord(this.#place, `has more than ${MAX_RECORD_BYTES} bytes`)
    return { record: decodeOwnerRecord(found.bytes, this.#place), etag: found.etag }
  }

  async #readOwn(token?: number): Promise<{ record: OwnerRecord; etag: string }> {
    const found = await this.#find()
    if (found?.record.owner !== this.#owner) throw this.#fenced(found?.record, token)
    return found
  }

  /** Oldest first. */
  async #names(): Promise<CheckpointName[]> {
    const keys = await this.#objects.list(`${this.#folder}${CHECKPOINT_PREFIX}`)
    return checkpointNames(keys.map((key) => key.slice(this.#folder.length)))
  }

  #fenced(newer?: OwnerRecord, token?: number): SluiceError {
    const { bucket } = this.#objects
    const kind = newer?.owner === this.#owner ? 'a newer attempt' : 'another process'
    const who = newer === undefined ? kind : `${kind} (${newer.by})`
    return new SluiceError(
      'SLUICE_STATE_FENCED',
      `${who} took over the checkpoints in s3://${bucket}/${this.#folder}: this one stops`,
      {
        facts: {
          bucket,
          folder: this.#folder,
          ...(token === undefined ? {} : { token }),
          ...(newer === undefined ? {} : { newerToken: newer.token, by: newer.by }),
        },
      },
    )
  }
}
