import { Socket } from 'node:net'
import { isMainThread } from 'node:worker_threads'

// Preloaded into every child. File descriptor 3 is a pipe to the parent that the kernel closes however the parent ends,
// SIGKILL included; the child then kills itself. The variable says that the pipe is there. It is removed so that
// grandchildren, which may inherit the preload but not the pipe, leave their own descriptor 3 alone.
const LIFELINE_VARIABLE = 'SLUICE_TESTKIT_LIFELINE'

const lifeline = openLifeline()

function openLifeline(): Socket | undefined {
  if (!isMainThread || process.env[LIFELINE_VARIABLE] === undefined) return undefined
  delete process.env[LIFELINE_VARIABLE]
  const socket = new Socket({ fd: 3, readable: true, writable: true })
  socket.on('end', die).on('error', die).on('close', die)
  socket.resume()
  // A program that has nothing left to do still ends by itself.
  socket.unref()
  return socket
}

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}

/** Sends one message to the parent; nothing happens where there is no lifeline. */
export function report(message: unknown): void {
  lifeline?.write(`${JSON.stringify(message)}\n`)
}
