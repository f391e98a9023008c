import { type FileHandle, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { takeOwnership, type Owner } from '../checkpoint/owner.ts'
import { messageOf, SluiceError } from '../errors.ts'

/** The ids of letters that were replayed, one a line, so that another run goes on where this one ended. */
export class ReplayProgress implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #owner: Owner
  readonly #ids: Set<string>

  private constructor(file: FileHandle, owner: Owner, ids: Set<string>) {
    this.#file = file
    this.#owner = owner
    this.#ids = ids
  }

  /**
   * @throws SluiceError `SLUICE_STATE_OWNED` when another replay of the folder is running, `SLUICE_DEAD_LETTERS_FAILED` when the
   * file cannot be written.
   */
  static async open(path: string): Promise<ReplayProgress> {
    const owner = await own(path)
    try {
      const ids = await replayedIds(path)
      const file = await open(path, 'a', 0o600)
      // What a killed run left half written becomes a line of its own, which is no id.
      await file.appendFile('\n')
      return new ReplayProgress(file, owner, ids)
    } catch (error) {
      await owner[Symbol.asyncDispose]()
      throw SluiceError.isInstance(error) ? error : unwritable(path, error)
    }
  }

  has(id: string): boolean {
    return this.#ids.has(id)
  }

  /** Resolves when it is on disk. */
  async add(ids: readonly string[]): Promise<void> {
    await this.#owner.verify()
    await this.#file.appendFile(ids.map((id) => `${id}\n`).join(''))
    await this.#file.datasync()
    for (const id of ids) this.#ids.add(id)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
    await this.#owner[Symbol.asyncDispose]()
  }
}

/** Of earlier runs; none when there was none. */
export async function replayedIds(path: string): Promise<Set<string>> {
  try {
    const lines = (await readFile(path, 'utf8')).split('\n')
    // The part after the last line break may be half of an id.
    return new Set(lines.slice(0, -1).filter((line) => line !== ''))
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') return new Set()
    throw unwritable(path, error)
  }
}

async function own(path: string): Promise<Owner> {
  const folder = dirname(path)
  try {
    return await takeOwnership(folder, { leavesNothing: true })
  } catch (error) {
    if (!SluiceError.isInstance(error) || error.code !== 'SLUICE_STATE_OWNED') throw unwritable(path, error)
    throw new SluiceError(
      'SLUICE_STATE_OWNED',
      `another replay is running on ${folder}: it would send the same letters`,
      {
        facts: { folder },
      },
    )
  }
}

function unwritable(path: string, error: unknown): SluiceError {
  return new SluiceError(
    'SLUICE_DEAD_LETTERS_FAILED',
    `the progress of the replay cannot be kept in ${path}: ${messageOf(error)} (option --progress)`,
    { cause: error, facts: { path } },
  )
}
