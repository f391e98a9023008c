import { DuckDBInstance } from '@duckdb/node-api'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { TimestreamLocalError } from './errors.ts'

/** Folders held by this process: the lock of a file does not exclude its own process. */
const heldHere = new Set<string>()

/** The data folder, held by one server at a time; the kernel frees it when the process ends, however it ends. */
export class DataDir {
  readonly path: string
  readonly journalPath: string
  readonly #temporary: boolean
  #lock: DuckDBInstance | undefined

  private constructor(path: string, temporary: boolean, lock: DuckDBInstance) {
    this.path = path
    this.journalPath = join(path, 'journal.ndjson')
    this.#temporary = temporary
    this.#lock = lock
  }

  /** Opens a folder, or a temporary one that goes away at close. */
  static async open(dataDir: string | undefined): Promise<DataDir> {
    const path = dataDir === undefined ? mkdtempSync(join(realpathSync(tmpdir()), 'timestream-local-')) : made(dataDir)
    if (heldHere.has(path)) throw inUse(path, 'by this process')
    heldHere.add(path)
    try {
      // DuckDB takes an operating system lock on a database file, which Node.js cannot.
      const lock = await DuckDBInstance.create(join(path, 'lock.duckdb'), { threads: '1' })
      return new DataDir(path, dataDir === undefined, lock)
    } catch (error) {
      heldHere.delete(path)
      const message = error instanceof Error ? error.message : String(error)
      if (/lock/i.test(message)) throw inUse(path, `by ${/\bPID \d+/.exec(message)?.[0] ?? 'another process'}`, error)
      throw new TimestreamLocalError('TIMESTREAM_LOCAL_DATA_DIR', [`${path} cannot be locked: ${message}`], {
        cause: error,
      })
    }
  }

  close(): void {
    if (this.#lock === undefined) return
    this.#lock.closeSync()
    this.#lock = undefined
    heldHere.delete(this.path)
    if (this.#temporary) rmSync(this.path, { recursive: true, force: true })
  }
}

function made(dataDir: string): string {
  const path = resolve(dataDir)
  try {
    refuseQuestionMark(path)
    makeFolder(path)
    const real = realpathSync(path)
    refuseQuestionMark(real)
    return real
  } catch (error) {
    throw new TimestreamLocalError(
      'TIMESTREAM_LOCAL_DATA_DIR',
      [`The data folder ${path} cannot be used: ${(error as Error).message}`],
      { cause: error },
    )
  }
}

/** DuckDB reads what follows as parameters of a URL, and puts files elsewhere. */
function refuseQuestionMark(path: string): void {
  if (path.includes('?')) throw new Error('a path with a question mark means another one to DuckDB')
}

/** With the folders above it. Node's own `recursive` never returns where the kernel answers ENOENT, as it does in /proc. */
function makeFolder(path: string): void {
  if (isFolder(path)) return
  const parent = dirname(path)
  if (parent !== path) makeFolder(parent)
  try {
    mkdirSync(path)
  } catch (error) {
    // Another process may have been faster.
    if (!isFolder(path)) throw error
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function inUse(path: string, holder: string, cause?: unknown): TimestreamLocalError {
  return new TimestreamLocalError(
    'TIMESTREAM_LOCAL_DATA_IN_USE',
    [`The data folder ${path} is in use ${holder}; one server at a time can have it.`],
    { cause },
  )
}
