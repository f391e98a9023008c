import { randomBytes } from 'node:crypto'
import { link, readdir, rename, stat, unlink } from 'node:fs/promises'
import type { Server } from 'node:net'
import { join } from 'node:path'
import { messageOf, SluiceError } from '../errors.ts'
import { failpoint } from '../runtime/failpoints.ts'
import { newestToken, ownerName, ownerToken } from './names.ts'
import { closeServer, codeOf, inodeOf, isAlive, listen, OPEN_FILES, type Way, wayTo } from './owner-socket.ts'

/** Looks at a folder in which others are starting, before they are told from a live owner. */
const ROUNDS = 5
const ASIDE = /^owner\.sock\.[0-9a-f]{8}$/

/** Holds a folder for this process. */
export interface Owner extends AsyncDisposable {
  /** One more than that of the owner before: never given twice. */
  readonly token: number
  /** @throws SluiceError `SLUICE_STATE_FENCED` when another process has taken the folder over. */
  verify(): Promise<void>
}

export interface OwnershipOptions {
  /**
   * Leaves no file behind at the end. Tokens may then be given again, which is harmless only where nothing that was written
   * under one is looked at.
   *
   * @default false
   */
  readonly leavesNothing?: boolean
  /** Where open folders have short paths. */
  readonly openFiles?: string
}

/**
 * Takes a folder. The owner is a file `owner-<token>`, made under the next free token and never replaced: that file is its
 * fencing token, and whoever finds a higher one than its own has been overtaken. It is also a unix socket that listens as long as
 * the process lives. The kernel ends that with any death, which is how a dead owner is told from a live one; a pid would not do,
 * because in containers every process is pid 1.
 *
 * A machine cannot see whether an owner on another machine lives, and takes its place. {@link Owner.verify}, called before and
 * after everything that is stored, stops the one that was overtaken.
 *
 * @throws SluiceError `SLUICE_STATE_OWNED` when a live process has the folder, `SLUICE_STATE_STORAGE` when its path is too long.
 */
export async function takeOwnership(folder: string, options: OwnershipOptions = {}): Promise<Owner> {
  const asideName = `owner.sock.${randomBytes(4).toString('hex')}`
  const way = await wayTo(folder, asideName, options.openFiles ?? OPEN_FILES).catch((error: unknown) => {
    throw cannotOwn(folder, error)
  })
  try {
    // Made under a name of its own: it listens before anyone can find it, and closing it removes that name only.
    const server = await listen(join(way.short, asideName))
    try {
      return await own(folder, asideName, server, way, options.leavesNothing === true)
    } catch (error) {
      await closeServer(server)
      throw error
    }
  } catch (error) {
    await way.handle?.close()
    throw cannotOwn(folder, error)
  }
}

/** The newest owner of a folder, as it looks from this machine; token 0 when there was never one with a token. */
export async function findOwner(folder: string): Promise<{ readonly token: number; readonly alive: boolean }> {
  const names = await readdir(folder)
  const way = await wayTo(folder, 'owner.sock.00000000', OPEN_FILES)
  try {
    return { token: newestToken(names), alive: await anyAlive(names, way) }
  } finally {
    await way.handle?.close()
  }
}

async function own(
  folder: string,
  asideName: string,
  server: Server,
  way: Way,
  leavesNothing: boolean,
): Promise<Owner> {
  const aside = join(folder, asideName)
  const { ino } = await stat(aside)
  for (let round = 0; round < ROUNDS; round++) {
    const names = await readdir(folder)
    if (await anyAlive(names, way)) {
      throw new SluiceError(
        'SLUICE_STATE_OWNED',
        `another process owns the checkpoints in ${folder}: two owners would acknowledge each other's records; stop it, or give this job a folder or a name of its own`,
        { facts: { folder } },
      )
    }
    const token = newestToken(names) + 1
    if (!(await publish(aside, join(folder, ownerName(token))))) continue
    const owner = new FolderOwner(folder, token, ino, server, way, leavesNothing)
    try {
      // A slow starter may have made a token that others have given and cleaned away meanwhile.
      await owner.verify()
    } catch (error) {
      await unlink(join(folder, ownerName(token))).catch(() => undefined)
      if (SluiceError.isInstance(error) && error.code === 'SLUICE_STATE_FENCED') continue
      throw error
    }
    await unlink(aside).catch(() => undefined)
    await removeOld(folder, token, way)
    return owner
  }
  throw new SluiceError(
    'SLUICE_STATE_OWNED',
    `other processes are starting on the checkpoints in ${folder} at this moment`,
    { facts: { folder } },
  )
}

class FolderOwner implements Owner {
  readonly token: number
  readonly #folder: string
  readonly #inode: number
  readonly #server: Server
  readonly #way: Way
  readonly #leavesNothing: boolean

  constructor(folder: string, token: number, inode: number, server: Server, way: Way, leavesNothing: boolean) {
    this.token = token
    this.#folder = folder
    this.#inode = inode
    this.#server = server
    this.#way = way
    this.#leavesNothing = leavesNothing
  }

  async verify(): Promise<void> {
    if (failpoint('sabotage:ignore-owner')) return
    let ours: boolean
    try {
      const newest = Math.max(...(await readdir(this.#folder)).map((name) => ownerToken(name) ?? -1))
      ours = newest === this.token && (await this.#isInPlace())
    } catch (error) {
      throw cannotOwn(this.#folder, error)
    }
    if (ours) return
    throw new SluiceError(
      'SLUICE_STATE_FENCED',
      `another process took over the checkpoints in ${this.#folder}, or they were removed: this one stops`,
      { facts: { folder: this.#folder, token: this.token } },
    )
  }

  /** The file stays: without it the token could be given again. */
  async [Symbol.asyncDispose](): Promise<void> {
    const path = join(this.#folder, ownerName(this.token))
    if (this.#leavesNothing && (await this.#isInPlace().catch(() => false))) await unlink(path).catch(() => undefined)
    await closeServer(this.#server)
    // Only now: closing a server removes the name that it was bound to, by the same way.
    await this.#way.handle?.close()
  }

  /** In a folder that was removed and made anew, another may have the same token. */
  async #isInPlace(): Promise<boolean> {
    return (await inodeOf(join(this.#folder, ownerName(this.token)))) === this.#inode
  }
}

async function anyAlive(names: readonly string[], way: Way): Promise<boolean> {
  for (const name of names) if (ownerToken(name) !== undefined && (await isAlive(join(way.short, name)))) return true
  return false
}

/** Gives the socket its token's name, unless another has it. */
async function publish(aside: string, path: string): Promise<boolean> {
  try {
    await link(aside, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    if (codeOf(error) === 'ENOENT') throw error
    // Not every file system links sockets. Renaming replaces what is there, so a look goes first; of two that look at the same
    // moment, verify() stops one.
    if ((await inodeOf(path)) !== undefined) return false
    await rename(aside, path)
    return true
  }
}

/** Removes what owners of before, and starters that were killed, have left. */
async function removeOld(folder: string, token: number, way: Way): Promise<void> {
  for (const name of await readdir(folder)) {
    const old = ownerToken(name)
    const isOld = old === undefined ? ASIDE.test(name) && !(await isAlive(join(way.short, name))) : old < token
    if (isOld) await unlink(join(folder, name)).catch(() => undefined)
  }
}

function cannotOwn(folder: string, error: unknown): SluiceError {
  if (SluiceError.isInstance(error)) return error
  return new SluiceError('SLUICE_STATE_STORAGE', `cannot own ${folder}: ${messageOf(error)}`, {
    cause: error,
    restartable: true,
    facts: { folder },
  })
}
