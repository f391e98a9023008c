import { type FileHandle, open, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { jobOfFile, letterFileName, safe } from './file-names.ts'

/** One write and one sync take this much at most: the memory of a copy. */
const MAX_GROUP_BYTES = 8 * 1024 * 1024

interface Waiting {
  readonly bytes: Buffer
  readonly signal: AbortSignal
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export interface LetterFileOptions {
  readonly folder: string
  readonly job: string
  /** Tells this object's files from those of others. */
  readonly writer: string
  readonly maxFileBytes: number
  readonly keep: number
}

/**
 * Appends the letters of one job, and syncs as many at a time as have come meanwhile. After any failure the file is left behind
 * and the next letter begins another: what half of a write or a failed sync left at its end never touches a later letter.
 */
export class LetterFiles {
  readonly #options: LetterFileOptions
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #file: FileHandle | undefined
  #path = ''
  #size = 0
  #newestAtMs = 0

  constructor(options: LetterFileOptions) {
    this.#options = options
  }

  /** Resolves when the line is on disk. */
  append(line: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bytes: Buffer.from(`${line}\n`), signal, resolve, reject })
      this.#writing ??= this.#write()
    })
  }

  /** Writes what is waiting and closes the file; a later letter begins a new one. */
  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
    await this.#closeFile()
  }

  async #write(): Promise<void> {
    // What is delivered in the same turn shares the first sync.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const group = this.#take()
      try {
        if (group.length > 0) await this.#store(group.map(({ bytes }) => bytes))
        for (const { resolve } of group) resolve()
      } catch (error) {
        await this.#abandon()
        for (const { reject } of group) reject(error)
      }
    }
    this.#writing = undefined
  }

  /** The next letters that fit into one group and into the file, at least one; those that nobody waits for are left out. */
  #take(): readonly Waiting[] {
    const live = this.#waiting.filter(({ signal }) => !signal.aborted)
    for (const { signal, reject } of this.#waiting) if (signal.aborted) reject(signal.reason)
    const { maxFileBytes } = this.#options
    const room = this.#size === 0 ? maxFileBytes : maxFileBytes - this.#size
    let bytes = 0
    let count = 0
    for (const { bytes: line } of live) {
      if (count > 0 && (bytes + line.length > MAX_GROUP_BYTES || bytes + line.length > room)) break
      bytes += line.length
      count++
    }
    this.#waiting = live.slice(count)
    return live.slice(0, count)
  }

  async #store(lines: readonly Buffer[]): Promise<void> {
    const bytes = lines.length === 1 ? (lines[0] as Buffer) : Buffer.concat(lines)
    if (this.#size > 0 && this.#size + bytes.length > this.#options.maxFileBytes) await this.#closeFile()
    const isNew = this.#file === undefined
    const file = (this.#file ??= await this.#begin())
    await file.appendFile(bytes)
    await file.datasync()
    // The letters are durable only when the name of their file is.
    if (isNew) await syncFolder(this.#options.folder)
    this.#size += bytes.length
    if (isNew) await this.#removeOldest()
  }

  async #begin(): Promise<FileHandle> {
    const { folder, job, writer } = this.#options
    // Also when the clock was set back: the files of one writer stay in order.
    this.#newestAtMs = Math.max(Date.now(), this.#newestAtMs + 1)
    this.#path = join(folder, letterFileName(this.#newestAtMs, job, writer))
    return open(this.#path, 'ax', 0o600)
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    this.#size = 0
    await file?.close()
  }

  /** Cuts off what was not confirmed, as far as that is possible; a file without a confirmed letter is removed. */
  async #abandon(): Promise<void> {
    const size = this.#size
    if (this.#file === undefined) return
    await this.#file.truncate(size).catch(() => undefined)
    await this.#closeFile().catch(() => undefined)
    if (size === 0) await unlink(this.#path).catch(() => undefined)
  }

  /** Files of this job only: others may be in use. One that is not removed now is at the next change of files. */
  async #removeOldest(): Promise<void> {
    const { folder, job, keep } = this.#options
    if (keep === Number.POSITIVE_INFINITY) return
    const names = await readdir(folder).catch(() => [])
    const ours = names.filter((name) => jobOfFile(name) === safe(job)).sort()
    for (const name of ours.slice(0, -keep)) await unlink(join(folder, name)).catch(() => undefined)
  }
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
