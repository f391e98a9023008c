import { createHash } from 'node:crypto'
import { stat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf, SluiceError } from '../errors.ts'

/** Linux refuses a longer socket path; some systems allow 104 bytes only. */
const MAX_SOCKET_PATH_BYTES = 100
const CONNECT_TIMEOUT_MS = 2_000

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
 * Two starters that both find a dead owner may both bind; the file system keeps one of the two sockets, and
 * {@link Owner.verify}, called before every store, stops the process whose socket is no longer there.
 *
 * @throws SluiceError `SLUICE_STATE_OWNED` when a live process has the folder.
 */
export async function takeOwnership(folder: string): Promise<Owner> {
  const path = socketPath(folder)
  for (let round = 0; round < 3; round++) {
    const server = await listen(path)
    if (server !== undefined) {
      const { ino } = await stat(path)
      return owner(folder, path, server, ino)
    }
    if (await isAlive(path)) {
      throw new SluiceError(
        'SLUICE_STATE_OWNED',
        `another process owns the checkpoints in ${folder}: two owners would acknowledge each other's records; stop it, or give this job a folder or a name of its own`,
        { facts: { folder } },
      )
    }
    await unlink(path).catch(() => undefined)
  }
  throw new SluiceError(
    'SLUICE_STATE_OWNED',
    `other processes are starting on the checkpoints in ${folder} at this moment`,
    {
      facts: { folder },
    },
  )
}

function owner(folder: string, path: string, server: Server, inode: number): Owner {
  return {
    async verify() {
      const now = await stat(path).catch(() => undefined)
      if (now?.ino === inode) return
      throw new SluiceError(
        'SLUICE_STATE_FENCED',
        `another process took over the checkpoints in ${folder}: this one stops`,
        {
          facts: { folder },
        },
      )
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
      }),
  }
}

/** In the folder itself, so that it moves and is shared with it; a long path goes by its hash into the temporary folder. */
function socketPath(folder: string): string {
  const path = join(folder, 'owner.sock')
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return path
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 32)
  return join(tmpdir(), `sluice-${name}.sock`)
}

/** The listening server, or undefined when the path is taken. */
function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(new SluiceError('SLUICE_STATE_STORAGE', `cannot own ${path}: ${messageOf(error)}`, { cause: error }))
    })
    server.listen(path, () => {
      // Ownership must not keep a finished process alive.
      server.unref()
      resolve(server)
    })
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
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}
