import { readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join, resolve as resolvePath } from 'node:path'
import { messageOf, SluiceError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { OptionsCheck } from '../options.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { makeFolder } from '../runtime/folder.ts'
import { syncEntries, syncFolder, writeDurably } from './durable.ts'
import { decodeNamed, encodeCheckpoint } from './format.ts'
import { decodeHint, encodeHint, HINT_FILE } from './hint.ts'
import { checkpointName, checkpointNames, type CheckpointName, PART, parseCheckpointName } from './names.ts'
import { type Owner, takeOwnership } from './owner.ts'
import type { Checkpoint, CheckpointStorage, CheckpointStore, EmittedHint } from './storage.ts'

export interface FileCheckpointsOptions {
  /** How many checkpoints stay: an older whole one is used when the newest is damaged. @default 3 */
  readonly keep?: number
}

/**
 * Keeps checkpoints as files in `<folder>/<job>`: written aside, synced, renamed, and the folder synced, so that a crash at any
 * moment leaves the new one or the one before. One process owns the folder of a job; each has a higher token than the one before.
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
    const made = await makeFolder(folder)
    if (made !== undefined) await syncEntries(folder, made)
  } catch (error) {
    throw storageError(folder, 'cannot make the folder', error)
  }
  const owner = await takeOwnership(folder)
  await removeParts(folder, owner.token)
  return new FileStore(folder, keep, logger, owner)
}

/** What owners of before were writing when they ended. One of them that still writes finds its file gone, and that it was overtaken. */
async function removeParts(folder: string, token: number): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const written = name.endsWith(PART) ? parseCheckpointName(name.slice(0, -PART.length)) : undefined
    if (written !== undefined && written.token < token) await unlink(join(folder, name)).catch(() => undefined)
  }
}

class FileStore implements CheckpointStore {
  readonly #folder: string
  readonly #keep: number
  readonly #logger: Logger
  readonly #owner: Owner
  readonly #damaged = new Set<string>()
  loadedFrom: string | undefined

  constructor(folder: string, keep: number, logger: Logger, owner: Owner) {
    this.#folder = folder
    this.#keep = keep
    this.#logger = logger
    this.#owner = owner
  }

  async load(): Promise<Checkpoint | undefined> {
    await this.#owner.verify()
    const damaged: string[] = []
    for (const file of (await this.#files()).toReversed()) {
      const decoded = decodeNamed(await this.#read(file.name), file, join(this.#folder, file.name))
      if ('damage' in decoded) {
        this.#damaged.add(file.name)
        damaged.push(`${file.name}: ${decoded.damage}`)
        continue
      }
      if (damaged.length > 0) {
        this.#logger.warn(
          { used: file.name, damaged },
          'Damaged checkpoints were passed over; records since the one used are repeated',
        )
      }
      this.loadedFrom = join(this.#folder, await this.#adopt(file, decoded.checkpoint))
      return decoded.checkpoint
    }
    if (damaged.length === 0) return undefined
    throw new SluiceError(
      'SLUICE_STATE_CORRUPTED',
      `no checkpoint in ${this.#folder} is whole (${damaged.join('; ')}): restore the folder from a copy, or move them away with 'sluice checkpoints reset' to start from the initial position`,
      { facts: { folder: this.#folder, damaged } },
    )
  }

  /** @returns bytes on disk. */
  async store(checkpoint: Checkpoint): Promise<number> {
    const name = checkpointName(this.#owner.token, checkpoint.id)
    const bytes = await this.#write(name, checkpoint)
    this.#damaged.delete(name)
    await this.#removeOld({ name, token: this.#owner.token, id: checkpoint.id })
    return bytes
  }

  /** Not synced: after a crash of the machine the hint may be old, which it may be anyway. */
  async storeHint(hint: EmittedHint): Promise<void> {
    await this.#owner.verify()
    const aside = join(this.#folder, `${HINT_FILE}${PART}`)
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

  /**
   * What an owner of before still stores from here on is older than what was loaded: it must be so before anything is read.
   *
   * @returns its name from now on.
   */
  async #adopt(file: CheckpointName, checkpoint: Checkpoint): Promise<string> {
    if (file.token === this.#owner.token) return file.name
    const name = checkpointName(this.#owner.token, checkpoint.id)
    await this.#write(name, checkpoint)
    await this.#remove(file.name)
    return name
  }

  async #write(name: string, checkpoint: Checkpoint): Promise<number> {
    const bytes = encodeCheckpoint(checkpoint, this.#owner.token)
    const aside = join(this.#folder, `${name}${PART}`)
    try {
      await writeDurably(aside, bytes)
      failpoint('checkpoint:written')
      // Writing may take long, and outlive this owner.
      await this.#owner.verify().catch(async (error: unknown) => {
        await unlink(aside).catch(() => undefined)
        throw error
      })
      await rename(aside, join(this.#folder, name))
      failpoint('checkpoint:renamed')
      // The rename itself is durable only when the folder is.
      await syncFolder(this.#folder)
      // Only what the next owner is sure to see may be acknowledged: it looks after it has taken its token.
      await this.#owner.verify()
    } catch (error) {
      if (SluiceError.isInstance(error)) throw error
      throw storageError(this.#folder, `cannot store checkpoint ${checkpoint.id}`, error)
    }
    return bytes.length
  }

  async #read(name: string): Promise<Buffer> {
    try {
      return await readFile(join(this.#folder, name))
    } catch (error) {
      throw storageError(this.#folder, `cannot read ${name}`, error)
    }
  }

  /** Oldest first. */
  async #files(): Promise<CheckpointName[]> {
    try {
      return checkpointNames(await readdir(this.#folder))
    } catch (error) {
      throw storageError(this.#folder, 'cannot list the folder', error)
    }
  }

  /** Damaged files do not count among those kept, nor do such of a higher id: they would push whole ones out. */
  async #removeOld(newest: CheckpointName): Promise<void> {
    const files = (await this.#files()).filter(({ token, id }) => token < newest.token || id <= newest.id)
    const oldestKept = files.filter(({ name }) => !this.#damaged.has(name)).at(-this.#keep)
    for (const { name } of oldestKept === undefined ? [] : files.slice(0, files.indexOf(oldestKept))) {
      await this.#remove(name)
    }
  }

  async #remove(name: string): Promise<void> {
    await unlink(join(this.#folder, name)).catch((error: unknown) =>
      this.#logger.warn({ name, error: messageOf(error) }, 'An old checkpoint could not be removed'),
    )
  }
}

function storageError(folder: string, what: string, error: unknown): SluiceError {
  return new SluiceError('SLUICE_STATE_STORAGE', `${what} (${folder}): ${messageOf(error)}`, {
    cause: error,
    restartable: true,
    facts: { folder },
  })
}
