import type { Checkpoint, CheckpointStore, Clock, EmittedHint, Logger } from '@sluice/core'
import { messageOf, SluiceError } from '@sluice/core'
import {
  type CheckpointName,
  checkpointName,
  decodeHint,
  decodeNamed,
  encodeCheckpoint,
  encodeHint,
  failpoint,
  HINT_FILE,
} from '@sluice/core/internal'

import type { S3Objects } from './objects.ts'
import { type Grant, Ownership } from './ownership.ts'
import { Removal } from './removal.ts'

/** More is neither stored nor read: one request has to take it, and memory to hold it. */
const MAX_CHECKPOINT_BYTES = 256 * 1024 * 1024
const MAX_HINT_BYTES = 16 * 1024 * 1024

export interface S3StorePlan {
  readonly objects: S3Objects
  /** Beginning of the job's keys. */
  readonly folder: string
  readonly keep: number
  readonly hints: boolean
  readonly logger: Logger
  readonly clock: Clock
  /** Frees the client, after the last request. */
  release(): void
}

/** The checkpoints of one job in a bucket, for one owner. */
export class S3CheckpointStore implements CheckpointStore {
  readonly #plan: S3StorePlan
  readonly #ownership: Ownership
  readonly #removal: Removal
  #token: number
  /** The checkpoints that may be loaded, oldest first. */
  #names: CheckpointName[]
  #stale: readonly CheckpointName[]
  /** Names of checkpoints that were found damaged. */
  readonly #damaged = new Set<string>()
  #loaded = false
  loadedFrom: string | undefined
  #newestId = -1
  /** The load and the stores so far: one at a time. */
  #last: Promise<unknown> = Promise.resolve()
  /** Ends the newest load. */
  #loading = new AbortController()

  private constructor(plan: S3StorePlan, ownership: Ownership, grant: Grant) {
    this.#plan = plan
    this.#ownership = ownership
    this.#removal = new Removal({
      delete: (name) => plan.objects.delete(this.#key(name), 1),
      place: (name) => this.#place(name),
      clock: plan.clock,
      logger: plan.logger,
    })
    this.#token = grant.token
    this.#names = [...grant.admitted]
    this.#stale = grant.stale
  }

  static async open(plan: S3StorePlan): Promise<S3CheckpointStore> {
    const { ownership, grant } = await Ownership.take(plan.objects, plan.folder)
    return new S3CheckpointStore(plan, ownership, grant)
  }

  /** Ends a load of before that is still under way: its attempt was given up, and what it loads must not follow a newer one. */
  load(): Promise<Checkpoint | undefined> {
    const loading = new AbortController()
    this.#loading.abort(new Error('a newer load has begun, this one was given up'))
    this.#loading = loading
    return this.#inTurn(() => this.#load(loading.signal))
  }

  async #load(signal: AbortSignal): Promise<Checkpoint | undefined> {
    this.#throwIfGivenUp(signal)
    // What is old is listed anew; until then, nothing that is read may be deleted.
    await this.#removal.clear()
    const objects = this.#plan.objects.until(signal)
    const ownership = this.#ownership.until(signal)
    // A put of the attempt before may still be on its way; it must not come between this load and the next.
    if (this.#loaded) {
      const grant = await ownership.renew()
      this.#throwIfGivenUp(signal)
      this.#adopt(grant)
    }
    this.#loaded = true
    const damaged: string[] = []
    const used = await this.#newestWhole(objects, damaged)
    // What an owner finds that was overtaken is old, and may be gone: it must neither begin there nor blame the objects.
    await ownership.verify(this.#token)
    this.#throwIfGivenUp(signal)
    if (used !== undefined && damaged.length > 0) {
      this.#plan.logger.warn(
        { used: used.name, damaged },
        'Damaged checkpoints were passed over; records since the one used are repeated',
      )
    }
    this.loadedFrom = used === undefined ? undefined : this.#place(used.name)
    if (used !== undefined || damaged.length === 0) return used?.checkpoint
    const place = this.#place('')
    throw new SluiceError(
      'SLUICE_STATE_CORRUPTED',
      `no checkpoint in ${place} is whole (${damaged.join('; ')}): restore the objects from a copy, or delete them to start from the initial position`,
      { facts: { bucket: this.#plan.objects.bucket, folder: place, damaged } },
    )
  }

  store(checkpoint: Checkpoint): Promise<number> {
    const token = this.#token
    return this.#inTurn(() => this.#store(checkpoint, token))
  }

  async storeHint(hint: EmittedHint): Promise<void> {
    if (!this.#plan.hints) return
    await this.#ownership.verify(this.#token)
    await this.#plan.objects.put(this.#key(HINT_FILE), Buffer.from(encodeHint(hint)))
  }

  async loadHint(): Promise<EmittedHint | undefined> {
    if (!this.#plan.hints) return undefined
    const found = await this.#plan.objects.get(this.#key(HINT_FILE), MAX_HINT_BYTES)
    return typeof found === 'object' ? decodeHint(found.bytes.toString('utf8')) : undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#removal.end()
    this.#plan.objects.close()
    await this.#last
    this.#plan.release()
  }

  /** A load that took its token between a put and the look at the token after it would stop its own process. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#last.then(task)
    this.#last = done.catch(() => undefined)
    return done
  }

  #throwIfGivenUp(signal: AbortSignal): void {
    if (signal.aborted) throw new SluiceError('SLUICE_CLOSED', `${this.#place('')}: ${messageOf(signal.reason)}`)
  }

  #adopt({ token, admitted, stale }: Grant): void {
    this.#token = token
    this.#names = [...admitted]
    this.#stale = stale
    this.#newestId = -1
  }

  /** @param token - that of the attempt which made the checkpoint. */
  async #store(checkpoint: Checkpoint, token: number): Promise<number> {
    const { id } = checkpoint
    if (token !== this.#token) {
      throw new SluiceError('SLUICE_CLOSED', `checkpoint ${id} is of an attempt that has ended: it is not stored`)
    }
    if (id <= this.#newestId) {
      throw new SluiceError('SLUICE_INTERNAL', `checkpoint ${id} was to be stored after ${this.#newestId}`)
    }
    const bytes = encodeCheckpoint(checkpoint, token)
    const name = checkpointName(token, id)
    if (bytes.length > MAX_CHECKPOINT_BYTES) {
      throw new SluiceError(
        'SLUICE_STATE_STORAGE',
        `checkpoint ${id} has ${bytes.length} bytes, and this storage takes ${MAX_CHECKPOINT_BYTES} at most`,
        { facts: { bytes: bytes.length, allowed: MAX_CHECKPOINT_BYTES } },
      )
    }
    await this.#ownership.verify(token)
    await this.#put(name, bytes)
    failpoint('checkpoint:written')
    // Only now is it known that the next owner, if there is one, finds it in its list. See Ownership.
    await this.#ownership.verify(token)
    this.#newestId = id
    this.#names.push({ name, token, id })
    this.#removal.begin(this.#takeOld())
    return bytes.length
  }

  /** A name is given once: a repeat after an unknown outcome finds the very same bytes. */
  async #put(name: string, bytes: Buffer): Promise<void> {
    const key = this.#key(name)
    if ((await this.#plan.objects.put(key, bytes, 'ifNoneMatch')) !== undefined) return
    const there = await this.#plan.objects.get(key, MAX_CHECKPOINT_BYTES)
    if (typeof there === 'object' && there.bytes.equals(bytes)) return
    throw new SluiceError(
      'SLUICE_STATE_FENCED',
      `${this.#place(name)} was stored by another process with the token of this one: this one stops`,
      { facts: { bucket: this.#plan.objects.bucket, key, token: this.#token } },
    )
  }

  /** @param damaged - takes names and reasons of those that were passed over. */
  async #newestWhole(
    objects: S3Objects,
    damaged: string[],
  ): Promise<{ readonly name: string; readonly checkpoint: Checkpoint } | undefined> {
    for (const stored of this.#names.toReversed()) {
      const read = await this.#read(objects, stored)
      if ('checkpoint' in read) return { name: stored.name, checkpoint: read.checkpoint }
      this.#damaged.add(stored.name)
      damaged.push(`${stored.name}: ${read.damage}`)
    }
    return undefined
  }

  async #read(
    objects: S3Objects,
    stored: CheckpointName,
  ): Promise<{ readonly checkpoint: Checkpoint } | { readonly damage: string }> {
    const found = await objects.get(this.#key(stored.name), MAX_CHECKPOINT_BYTES)
    if (found === undefined) return { damage: 'it is gone' }
    if (found === 'tooLarge') return { damage: `it has more than ${MAX_CHECKPOINT_BYTES} bytes` }
    return decodeNamed(found.bytes, stored, this.#place(stored.name))
  }

  /** Damaged ones do not count among those kept: they would push whole ones out. */
  #takeOld(): string[] {
    const oldestKept = this.#names.filter(({ name }) => !this.#damaged.has(name)).at(-this.#plan.keep)
    const old = oldestKept === undefined ? [] : this.#names.splice(0, this.#names.indexOf(oldestKept))
    const names = [...this.#stale, ...old].map(({ name }) => name)
    this.#stale = []
    for (const name of names) this.#damaged.delete(name)
    return names
  }

  #key(name: string): string {
    return `${this.#plan.folder}${name}`
  }

  #place(name: string): string {
    return `s3://${this.#plan.objects.bucket}/${this.#key(name)}`
  }
}
