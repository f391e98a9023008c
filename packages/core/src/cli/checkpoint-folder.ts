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
  /** Why it is passed over; undefined when it is not. */
  readonly damage: string | undefined
  /** Why a job that finds it before any whole one does not start, instead of passing over it; undefined when it does. */
  readonly refusal: string | undefined
}

export interface JobFolders {
  /** By the names of the jobs. */
  readonly folders: ReadonlyMap<string, string>
  /** Of others it cannot be said whether they are those of jobs. */
  readonly unreadable: number
}

/** The folder of one job. What else lies in the root is not looked into. @throws Error when it has no checkpoints. */
export async function jobFolder(root: string, job: string): Promise<string> {
  const folder = join(resolvePath(root), job)
  const names = await readdir(folder).catch((error: unknown) => {
    const code = error instanceof Error ? Reflect.get(error, 'code') : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw unreadable(folder, error)
  })
  if (isOfJob(names)) return folder
  const { folders } = await jobFolders(root)
  throw new Error(`there is no job '${job}' in ${resolvePath(root)}; there are: ${[...folders.keys()].join(', ')}`)
}

/** Folders of jobs; says which others cannot be read. @throws Error when there is none. */
export async function jobFolders(root: string): Promise<JobFolders> {
  const full = resolvePath(root)
  const entries = await readdir(full, { withFileTypes: true }).catch((error: unknown) => {
    throw unreadable(full, error)
  })
  const folders = new Map<string, string>()
  let count = 0
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!entry.isDirectory()) continue
    const folder = join(full, entry.name)
    try {
      if (isOfJob(await readdir(folder))) folders.set(entry.name, folder)
    } catch (error) {
      count++
      tell(`passed over: ${unreadable(folder, error).message}`)
    }
  }
  if (folders.size > 0) return { folders, unreadable: count }
  const own = isOfJob(entries.map(({ name }) => name)) ? ': it is that of one job, give the folder above it' : ''
  throw new Error(`there are no checkpoints in ${full}${own}`)
}

function unreadable(folder: string, error: unknown): Error {
  return new Error(`checkpoints cannot be read from ${folder}: ${messageOf(error)}`)
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

function contentOf(
  read: unknown,
  file: CheckpointName,
  place: string,
): Pick<StoredCheckpoint, 'content' | 'damage' | 'refusal'> {
  try {
    if (!Buffer.isBuffer(read)) throw read
    const decoded = decodeNamed(read, file, place)
    if ('damage' in decoded) return { content: undefined, damage: decoded.damage, refusal: undefined }
    return { content: decoded, damage: undefined, refusal: undefined }
  } catch (error) {
    // Of a newer format, or not readable: what it holds may be right.
    return { content: undefined, damage: undefined, refusal: messageOf(error) }
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
