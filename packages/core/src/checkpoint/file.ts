import { mkdir, open, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve as resolvePath } from 'node:path'
import { messageOf, SluiceError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { OptionsCheck } from '../options.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { decodeCheckpoint, encodeCheckpoint } from './format.ts'
import { type Owner, takeOwnership } from './owner.ts'
import { decodeHint, encodeHint, HINT_FILE } from './hint.ts'
import type { Checkpoint, CheckpointStorage, CheckpointStore, EmittedHint } from './storage.ts'

export interface FileCheckpointsOptions {
  /** How many checkpoints stay: an older whole one is used when the newest is damaged. @default 3 */
  readonly keep?: number
}

const NAME = /^checkpoint-(\d{12})\.json$/

/**
 * Keeps checkpoints as files in `<folder>/<job>`: written aside, synced, renamed, and the folder synced, so that a crash at any
 * moment leaves the new one or the one before. One process owns the folder of a job.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID`.
 * @example
 * ```ts
 * start({ name: 'hosts', checkpoints: { storage: fileCheckpoints('./state') } })
 * ```
 */
export function fileCheckpoints(folder: string, options: FileCheckpointsOptions = {}): CheckpointStorage {
  const check = new OptionsCheck('fileCheckpoints', { folder, ...options }, ['folder', 'keep'])
  check.string('folder', { required: true })
  check.integer('keep', { min: 1, max: 1000 })
  check.throwIfAny()
  return { open: (job, logger) => openStore(join(resolvePath(folder), job), options.keep ?? 3, logger) }
}

async function openStore(folder: string, keep: number, logger: Logger): Promise<CheckpointStore> {
  try {
    const made = await mkdir(folder, { recursive: true })
    if (made !== undefined) await syncEntries(folder, made)
  } catch (error) {
    throw storageError(folder, 'cannot make the folder', error)
  }
  return new FileStore(folder, keep, logger, await takeOwnership(folder))
}

class FileStore implements CheckpointStore {
  readonly #folder: string
  readonly #keep: number
  readonly #logger: Logger
  readonly #owner: Owner

  constructor(folder: string, keep: number, logger: Logger, owner: Owner) {
    this.#folder = folder
    this.#keep = keep
    this.#logger = logger
    this.#owner = owner
  }

  async load(): Promise<Checkpoint | undefined> {
    const damaged: string[] = []
    for (const name of (await this.#names()).toReversed()) {
      const decoded = decodeCheckpoint(await this.#read(name))
      if ('checkpoint' in decoded) {
        if (damaged.length > 0) {
          this.#logger.warn(
            { used: name, damaged },
            'Damaged checkpoints were passed over; records since the one used are repeated',
          )
        }
        return decoded.checkpoint
      }
      damaged.push(`${name}: ${decoded.damage}`)
    }
    if (damaged.length === 0) return undefined
    throw new SluiceError(
      'SLUICE_STATE_CORRUPTED',
      `no checkpoint in ${this.#folder} is whole (${damaged.join('; ')}): restore the folder from a copy, or delete it to start from the initial position`,
      { facts: { folder: this.#folder, damaged } },
    )
  }

  async store(checkpoint: Checkpoint): Promise<number> {
    await this.#owner.verify()
    const bytes = encodeCheckpoint(checkpoint)
    const name = `checkpoint-${String(checkpoint.id).padStart(12, '0')}.json`
    try {
      await this.#write(name, bytes)
    } catch (error) {
      if (SluiceError.isInstance(error)) throw error
      throw storageError(this.#folder, `cannot store checkpoint ${checkpoint.id}`, error)
    }
    await this.#removeOlderThan(name)
    return bytes.length
  }

  /** Not synced: after a crash of the machine the hint may be old, which it may be anyway. */
  async storeHint(hint: EmittedHint): Promise<void> {
    await this.#owner.verify()
    const aside = join(this.#folder, `${HINT_FILE}.part`)
    await writeFile(aside, encodeHint(hint), { mode: 0o600 })
    await rename(aside, join(this.#folder, HINT_FILE))
  }

  async loadHint(): Promise<EmittedHint | undefined> {
    const text = await readFile(join(this.#folder, HINT_FILE), 'utf8').catch(() => undefined)
    return text === undefined ? undefined : decodeHint(text)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owner[Symbol.asyncDispose]()
  }

  async #write(name: string, bytes: Buffer): Promise<void> {
    const aside = join(this.#folder, `${name}.part`)
    const file = await open(aside, 'w', 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    failpoint('checkpoint:written')
    // Writing may take long, and outlive this owner: what it publishes then would replace what the next one has stored.
    await this.#owner.verify()
    await rename(aside, join(this.#folder, name))
    // The rename itself is durable only when the folder is.
    await syncFolder(this.#folder)
  }

  async #read(name: string): Promise<Buffer> {
    try {
      return await readFile(join(this.#folder, name))
    } catch (error) {
      throw storageError(this.#folder, `cannot read ${name}`, error)
    }
  }

  /** Oldest first. */
  async #names(): Promise<string[]> {
    try {
      return (await readdir(this.#folder)).filter((name) => NAME.test(name)).sort()
    } catch (error) {
      throw storageError(this.#folder, 'cannot list the folder', error)
    }
  }

  /** A damaged file with a higher id must not count among those kept: it would push whole ones out. */
  async #removeOlderThan(newest: string): Promise<void> {
    for (const name of (await this.#names()).filter((other) => other <= newest).slice(0, -this.#keep)) {
      await unlink(join(this.#folder, name)).catch((error: unknown) =>
        this.#logger.warn({ name, error: messageOf(error) }, 'An old checkpoint could not be removed'),
      )
    }
  }
}

/** Makes the new folders durable: each is an entry of the one above, up to that of the topmost one that was made. */
async function syncEntries(folder: string, topmost: string): Promise<void> {
  for (let made = folder; made.length >= topmost.length; made = dirname(made)) await syncFolder(dirname(made))
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function storageError(folder: string, what: string, error: unknown): SluiceError {
  return new SluiceError('SLUICE_STATE_STORAGE', `${what} (${folder}): ${messageOf(error)}`, {
    cause: error,
    restartable: true,
    facts: { folder },
  })
}
