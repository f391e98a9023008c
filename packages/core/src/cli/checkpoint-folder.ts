import { readdir, readFile } from 'node:fs/promises'
import { join, resolve as resolvePath } from 'node:path'
import { decodeNamed, type Header } from '../checkpoint/format.ts'
import { type CheckpointName, checkpointNames, ownerToken } from '../checkpoint/names.ts'
import { findOwner } from '../checkpoint/owner.ts'
import type { Checkpoint } from '../checkpoint/storage.ts'
import { messageOf } from '../errors.ts'
import { tell } from './command.ts'

/** A checkpoint file, read. */
export interface StoredCheckpoint extends CheckpointName {
  readonly bytes: number
  readonly content: { readonly checkpoint: Checkpoint; readonly header: Header } | undefined
  /** Why it is not used; undefined when it is whole. */
  readonly damage: string | undefined
}

/** Folders of jobs, by name; only that of `job` when it is given. @throws Error when there is none. */
export async function jobFolders(root: string, job: string | undefined): Promise<ReadonlyMap<string, string>> {
  const full = resolvePath(root)
  const entries = await readdir(full, { withFileTypes: true }).catch((error: unknown) => {
    throw new Error(`checkpoints cannot be read from ${full}: ${messageOf(error)}`)
  })
  const found = new Map<string, string>()
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!entry.isDirectory()) continue
    const folder = join(full, entry.name)
    if (isOfJob(await readdir(folder))) found.set(entry.name, folder)
  }
  if (found.size === 0) {
    const own = isOfJob(entries.map(({ name }) => name)) ? ': it is that of one job, give the folder above it' : ''
    throw new Error(`there are no checkpoints in ${full}${own}`)
  }
  if (job === undefined) return found
  const folder = found.get(job)
  if (folder !== undefined) return new Map([[job, folder]])
  throw new Error(`there is no job '${job}' in ${full}; there are: ${[...found.keys()].join(', ')}`)
}

function isOfJob(names: readonly string[]): boolean {
  return checkpointNames(names).length > 0 || names.some((name) => ownerToken(name) !== undefined)
}

/** The checkpoints of a job, newest first. */
export async function storedCheckpoints(folder: string): Promise<readonly StoredCheckpoint[]> {
  const files: StoredCheckpoint[] = []
  for (const file of checkpointNames(await readdir(folder)).toReversed()) {
    const read = await readFile(join(folder, file.name)).catch((error: unknown) => error)
    // An owner that runs removes old ones all the time.
    if (read instanceof Error && Reflect.get(read, 'code') === 'ENOENT') continue
    files.push({
      ...file,
      bytes: Buffer.isBuffer(read) ? read.length : 0,
      ...contentOf(read, file, join(folder, file.name)),
    })
  }
  return files
}

function contentOf(read: unknown, file: CheckpointName, place: string): Pick<StoredCheckpoint, 'content' | 'damage'> {
  if (!Buffer.isBuffer(read)) return { content: undefined, damage: messageOf(read) }
  try {
    const decoded = decodeNamed(read, file, place)
    if ('damage' in decoded) return { content: undefined, damage: decoded.damage }
    return { content: decoded, damage: undefined }
  } catch (error) {
    return { content: undefined, damage: messageOf(error) }
  }
}

/** Says who owns the folder. Of an owner on another machine it cannot be seen whether it lives. */
export async function tellOwner(job: string, folder: string): Promise<boolean> {
  const { token, alive } = await findOwner(folder)
  tell(`${job}: owner ${token} ${alive ? 'is running' : 'is not running on this machine'}`)
  return alive
}

export function timeOf(createdAtMs: number): string {
  const time = new Date(createdAtMs)
  return Number.isNaN(time.getTime()) ? String(createdAtMs) : time.toISOString()
}
