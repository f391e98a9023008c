import { type FileHandle, open, stat } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { SluiceError } from '../errors.ts'
import { failpoint } from '../runtime/failpoints.ts'

/** Linux refuses a longer socket path; some systems allow 104 bytes only. */
const MAX_SOCKET_PATH_BYTES = 100
const CONNECT_TIMEOUT_MS = 2_000
/** Linux shows open folders here, under paths that are always short. */
export const OPEN_FILES = '/proc/self/fd'

/** How socket calls, which take short paths only, reach a folder. */
export interface Way {
  readonly short: string
  /** The open folder, when the way leads through it. */
  readonly handle: FileHandle | undefined
}

/**
 * @param longest - the longest name in the folder that a socket call is made with.
 * @throws SluiceError `SLUICE_STATE_STORAGE` when the path is too long and there is no other way.
 */
export async function wayTo(folder: string, longest: string, openFiles: string): Promise<Way> {
  const bytes = Buffer.byteLength(join(folder, longest))
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

/** Undefined when there is nothing at the path. */
export async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Makes a socket that listens as long as this process lives, and does not keep it alive. */
export function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', reject)
    // Of whatever user the next one is, it must be able to see that this one lives.
    server.listen({ path, readableAll: true, writableAll: true }, () => {
      server.unref()
      resolve(server)
    })
  })
}

export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}

/**
 * Whether anybody listens; on this machine only, because a socket file of another one connects to nobody.
 *
 * @throws SluiceError `SLUICE_STATE_STORAGE` when this user may not look.
 */
export function isAlive(path: string): Promise<boolean> {
  if (failpoint('owner:elsewhere') || failpoint('sabotage:ignore-owner')) return Promise.resolve(false)
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const end = (alive: boolean): void => {
      socket.destroy()
      resolve(alive)
    }
    // A frozen owner accepts through its backlog without answering: alive until shown otherwise.
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => end(true))
    socket.once('connect', () => end(true))
    // Where a plain file or another machine's socket is connected to, systems differ in what they call it.
    socket.once('error', (error) => {
      if (FORBIDDEN.has(codeOf(error))) reject(cannotLook(path, error))
      else end(!NOBODY.has(codeOf(error)))
    })
  })
}

const NOBODY: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'])
const FORBIDDEN: ReadonlySet<unknown> = new Set(['EACCES', 'EPERM'])

function cannotLook(path: string, cause: Error): SluiceError {
  const message = `whether the owner ${path} lives cannot be seen by the user ${process.geteuid?.()}: ${cause.message}; run as the same user as that process, or remove the file once it has ended`
  return new SluiceError('SLUICE_STATE_STORAGE', message, { cause, facts: { path } })
}

export function codeOf(error: unknown): unknown {
  return error instanceof Error ? Reflect.get(error, 'code') : undefined
}
