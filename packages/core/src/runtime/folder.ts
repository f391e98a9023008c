import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder and those above it, level by level: `mkdir` with `recursive` never ends where a file system says of a folder in one that
 * exists that there is none, as /proc does.
 *
 * @param path - absolute.
 * @param mode - of each folder that is made.
 * @returns the uppermost folder that was made; undefined if all were there.
 * @throws the error of the file system.
 */
export async function makeFolder(path: string, mode: number = 0o777): Promise<string | undefined> {
  const isMade = await madeOrThere(path, mode).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' || dirname(path) === path) throw error
    return 'parentMissing' as const
  })
  if (isMade !== 'parentMissing') return isMade ? path : undefined
  const uppermost = await makeFolder(dirname(path), mode)
  await madeOrThere(path, mode)
  return uppermost ?? path
}

/** False if the folder is there already. */
async function madeOrThere(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode })
    return true
  } catch (error) {
    const isFolder = async (): Promise<boolean> => (await stat(path).catch(() => undefined))?.isDirectory() === true
    // Also where a folder that is there may not be made: on a file system that is read only.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' && (await isFolder())) return false
    throw error
  }
}
