import { randomBytes } from 'node:crypto'
import { type FileHandle, link, open, rename, stat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { messageOf, SluiceError } from '../errors.ts'

/** Linux refuses a longer socket path; some systems allow 104 bytes only. */
const MAX_SOCKET_PATH_BYTES = 100
const CONNECT_TIMEOUT_MS = 2_000
const SOCKET_NAME = 'owner.sock'
/** Looks at an owner that seems dead, before other starters are told from a live one. */
const ROUNDS = 5
/** Linux shows open folders here, under paths that are always short. */
const OPEN_FILES = '/proc/self/fd'

/** Holds a folder for this process. */
export interface Owner extends AsyncDisposable {
  /** @throws SluiceError `SLUICE_STATE_FENCED` when another process has taken the folder over. */
  verify(): Promise<void>
}

/**
 * Takes a folder: a unix socket in it listens as long as this process lives, and the kernel ends that with any death. A dead
 * owner's socket file stays behind but refuses the connection, which is how it is known to be dead; a pid would not do, because
 * in containers every process is pid 1.
 *
 * Two starters that both find a dead owner may both take its place; the file system keeps one of the two sockets, and
 * {@link Owner.verify}, called before every store, stops the process whose socket is no longer there.
 *
 * The socket is always in the folder itself, so that all who share the folder meet there, whatever else differs between them.
 *
 * @throws SluiceError `SLUICE_STATE_OWNED` when a live process has the folder, `SLUICE_STATE_STORAGE` when its path is too long.
 */
export async function takeOwnership(folder: string, openFiles: string = OPEN_FILES): Promise<Owner> {
  const way = await wayTo(folder, openFiles)
  try {
    return await own(folder, way)
  } catch (error) {
    await way.handle?.close()
    throw error
  }
}

async function own(folder: string, way: Way): Promise<Owner> {
  const asideName = SOCKET_NAME + randomSuffix()
  const path = join(folder, SOCKET_NAME)
  const aside = join(folder, asideName)
  // Made under a name of its own: its inode is known before anyone else can replace it, and closing it removes that name only,
  // never the socket of a process that took over.
  const server = await listen(join(way.short, asideName))
  const published = async (inode: number): Promise<Owner> => {
    await unlink(aside).catch(() => undefined)
    return owner(folder, path, server, inode, way)
  }
  try {
    const { ino } = await stat(aside)
    for (let round = 0; round < ROUNDS; round++) {
      if (await publish(aside, path)) return await published(ino)
      const judged = await inodeOf(path)
      if (await isAlive(join(way.short, SOCKET_NAME))) {
        throw new SluiceError(
          'SLUICE_STATE_OWNED',
          `another process owns the checkpoints in ${folder}: two owners would acknowledge each other's records; stop it, or give this job a folder or a name of its own`,
          { facts: { folder } },
        )
      }
      // Another starter may have taken the dead one's place since the look.
      if ((await inodeOf(path)) === judged) await unlink(path).catch(() => undefined)
    }
    // Whoever removed a socket tries to put its own there: of any number of starters, one wins.
    if (await publish(aside, path)) return await published(ino)
    throw new SluiceError(
      'SLUICE_STATE_OWNED',
      `other processes are starting on the checkpoints in ${folder} at this moment`,
      { facts: { folder } },
    )
  } catch (error) {
    await close(server)
    if (SluiceError.isInstance(error)) throw error
    throw cannotOwn(path, error)
  }
}

function owner(folder: string, path: string, server: Server, inode: number, way: Way): Owner {
  const isOurs = async (): Promise<boolean> => (await inodeOf(path)) === inode
  return {
    async verify() {
      let ours: boolean
      try {
        ours = await isOurs()
      } catch (error) {
        throw cannotOwn(path, error)
      }
      if (ours) return
      throw new SluiceError(
        'SLUICE_STATE_FENCED',
        `another process took over the checkpoints in ${folder}: this one stops`,
        { facts: { folder } },
      )
    },
    async [Symbol.asyncDispose]() {
      if (await isOurs().catch(() => false)) await unlink(path).catch(() => undefined)
      await close(server)
      // Only now: closing a server removes the name that it was bound to, by the same way.
      await way.handle?.close()
    },
  }
}

/** Undefined when there is nothing at the path. */
async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Gives the socket its well-known name, unless another has it. */
async function publish(aside: string, path: string): Promise<boolean> {
  try {
    await link(aside, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    // Not every file system links sockets. Renaming replaces what is there, so a look goes first; of two that look at the same
    // moment, verify() stops one.
    if ((await inodeOf(path)) !== undefined) return false
    await rename(aside, path)
    return true
  }
}

/** How socket calls, which take short paths only, reach a folder. */
interface Way {
  readonly short: string
  /** The open folder, when the way leads through it. */
  readonly handle: FileHandle | undefined
}

async function wayTo(folder: string, openFiles: string): Promise<Way> {
  const bytes = Buffer.byteLength(join(folder, SOCKET_NAME + randomSuffix()))
  if (bytes <= MAX_SOCKET_PATH_BYTES) return { short: folder, handle: undefined }
  const handle = await open(folder, 'r')
  const short = join(openFiles, String(handle.fd))
  if ((await inodeOf(short)) === (await handle.stat()).ino) return { short, handle }
  await handle.close()
  throw new SluiceError(
    'SLUICE_STATE_STORAGE',
    `the path of the folder ${folder} is too long: a unix socket in it takes ${bytes} bytes, and this system allows ${MAX_SOCKET_PATH_BYTES}; use a folder with a shorter path, or a shorter job name`,
    { facts: { folder, bytes, allowed: MAX_SOCKET_PATH_BYTES } },
  )
}

function randomSuffix(): string {
  return `.${randomBytes(4).toString('hex')}`
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error) => reject(cannotOwn(path, error)))
    server.listen(path, () => {
      // Ownership must not keep a finished process alive.
      server.unref()
      resolve(server)
    })
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const end = (alive: boolean): void => {
      socket.destroy()
      resolve(alive)
    }
    // A frozen owner accepts through its backlog without answering: alive until shown otherwise.
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => end(true))
    socket.once('connect', () => end(true))
    socket.once('error', (error) => end(codeOf(error) !== 'ECONNREFUSED' && codeOf(error) !== 'ENOENT'))
  })
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? Reflect.get(error, 'code') : undefined
}

function cannotOwn(path: string, error: unknown): SluiceError {
  return new SluiceError('SLUICE_STATE_STORAGE', `cannot own ${path}: ${messageOf(error)}`, {
    cause: error,
    restartable: true,
    facts: { path },
  })
}
