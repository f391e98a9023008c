import { randomBytes } from 'node:crypto'
import { open, unlink } from 'node:fs/promises'
import { dirname, join, resolve as resolvePath } from 'node:path'
import { messageOf, SluiceError } from '../errors.ts'
import { OptionsCheck } from '../options.ts'
import { makeFolder } from '../runtime/folder.ts'
import type { DeadLetters, DeliveryContext } from './dead-letters.ts'
import { safe } from './file-names.ts'
import { type DeadLetter, encodeDeadLetter } from './letter.ts'
import { LetterFiles, syncFolder } from './letter-file.ts'

export interface FileDeadLettersOptions {
  /** Bytes after which a new file is begun; a letter that is larger has a file alone. @default 67108864 (64 MiB) */
  readonly maxFileBytes?: number
  /**
   * Files that stay of each job: when one more is begun, the oldest are deleted, and with them records that no sink has taken.
   * @default all of them
   */
  readonly keep?: number
}

/**
 * Keeps dead letters in a folder: one JSON object a line (NDJSON), in files whose names sort by time. A letter is confirmed when it
 * is synced to disk; letters that come together share a sync. Several jobs and processes may use one folder, each writes files of
 * its own. `sluice dlq show` and `sluice dlq replay` read them, and so does `readDeadLetters()`.
 *
 * The files hold the content of records: they can be read by the user of the process only (mode 0600, new folders 0700).
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID`. A folder that cannot be written, a full disk and the like reject the delivery with
 * `SLUICE_DEAD_LETTERS_FAILED`, naming folder and reason, and are told when a job starts.
 * @example
 * ```ts
 * start({ name: 'hosts', deadLetters: fileDeadLetters('./dead-letters') })
 * ```
 */
export function fileDeadLetters(folder: string, options: FileDeadLettersOptions = {}): DeadLetters {
  const check = new OptionsCheck('fileDeadLetters', { folder, ...options }, ['folder', 'maxFileBytes', 'keep'])
  check.string('folder', { required: true })
  check.integer('maxFileBytes')
  check.integer('keep')
  check.throwIfAny()
  return new FileDeadLetters(resolvePath(folder), options)
}

class FileDeadLetters implements DeadLetters {
  readonly #folder: string
  readonly #limits: { readonly maxFileBytes: number; readonly keep: number }
  readonly #writer: string = randomBytes(4).toString('hex')
  /** By job. */
  readonly #files = new Map<string, LetterFiles>()

  constructor(folder: string, options: FileDeadLettersOptions) {
    this.#folder = folder
    this.#limits = {
      maxFileBytes: options.maxFileBytes ?? 64 * 1024 * 1024,
      keep: options.keep ?? Number.POSITIVE_INFINITY,
    }
  }

  async open(): Promise<void> {
    const probe = join(this.#folder, `.probe-${process.pid}-${this.#writer}`)
    try {
      const made = await makeFolder(this.#folder, 0o700)
      // Each new folder is an entry of the one above it.
      if (made !== undefined) {
        for (let path = this.#folder; path.length >= made.length; path = dirname(path)) await syncFolder(dirname(path))
      }
      const file = await open(probe, 'w', 0o600)
      await file.close()
      await unlink(probe)
    } catch (error) {
      throw this.#error(error)
    }
  }

  async deliver(letter: DeadLetter, { signal }: DeliveryContext): Promise<void> {
    const line = encodeDeadLetter(letter)
    try {
      await this.#of(letter.job).append(line, signal)
    } catch (error) {
      // Deleted while the job runs: the next try finds it there again.
      if (isMissing(error)) await this.open()
      throw this.#error(error)
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((files) => files.close()))
  }

  #of(name: string): LetterFiles {
    const job = safe(name)
    let files = this.#files.get(job)
    if (files === undefined) {
      files = new LetterFiles({ folder: this.#folder, job, writer: this.#writer, ...this.#limits })
      this.#files.set(job, files)
    }
    return files
  }

  #error(error: unknown): SluiceError {
    if (SluiceError.isInstance(error)) return error
    const message = `dead letters cannot be written to ${this.#folder}: ${messageOf(error)}`
    return new SluiceError('SLUICE_DEAD_LETTERS_FAILED', message, {
      cause: error,
      restartable: true,
      facts: { folder: this.#folder },
    })
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, 'code') === 'ENOENT'
}
