import { open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Writes a file that only its owner can read, and resolves when it is on disk. What could not be written whole is removed. */
export async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    // On a full disk the rest of it would take the room that the next one needs.
    await unlink(path).catch(() => undefined)
    throw error
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Makes new folders durable: each is an entry of the one above, up to that of the topmost one that was made. */
export async function syncEntries(folder: string, topmost: string): Promise<void> {
  for (let made = folder; made.length >= topmost.length; made = dirname(made)) await syncFolder(dirname(made))
}
